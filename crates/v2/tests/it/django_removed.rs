//! What old Djangos had and newer ones do not: applications, classes, arguments, tags, and manage.py as it was.

use openshifter_v2::{Analysis, Options, Remedy};

use crate::settings::{WHOLE, project};
use crate::support::{World, of_rule};

const SETTINGS: &str = "wsgi/shop/shop/settings.py";

/// A file after the conversion, which a second one leaves alone.
fn after(world: &World, path: &str, text: &str) -> String {
    world.write(path, text);
    let result = world.convert(&Options::default()).read(path);
    world.write(path, &result);
    let again = world
        .plan(&Options::default())
        .expect("it can be converted");
    assert!(
        again.actions.iter().all(|action| action.path != path),
        "the second conversion changes {path}"
    );
    result
}

fn people(analysis: &Analysis, rule: &str) -> Vec<(String, Option<usize>)> {
    of_rule(analysis, rule)
        .into_iter()
        .filter(|finding| matches!(finding.remedy, Remedy::Person(_)))
        .map(|finding| (finding.what.clone(), finding.line))
        .collect()
}

#[test]
fn south_is_taken_out_of_the_applications() {
    let settings = |apps: &str| {
        let text = WHOLE.replace("INSTALLED_APPS = ()\n", apps);
        let result = after(&project(""), SETTINGS, &text);
        let start = result.find("INSTALLED_APPS").expect("they are there");
        let end = result.find("TEMPLATES").expect("they are there");
        result.get(start..end).expect("they are there").to_owned()
    };
    assert_eq!(
        settings("INSTALLED_APPS = (\n    'a',\n    'south',  # migrations\n    'b',\n)\n"),
        "INSTALLED_APPS = (\n    'a',\n    'b',\n)\n"
    );
    assert_eq!(
        settings("INSTALLED_APPS = ['a', 'south']\n"),
        "INSTALLED_APPS = ['a', ]\n"
    );
    // What stays of a tuple stays a tuple.
    assert_eq!(
        settings("INSTALLED_APPS = ('south', 'a')\n"),
        "INSTALLED_APPS = ( 'a',)\n"
    );
    assert_eq!(
        settings("INSTALLED_APPS = ('a',)\nINSTALLED_APPS += ('south',)\n"),
        "INSTALLED_APPS = ('a',)\nINSTALLED_APPS += ()\n"
    );
    assert_eq!(
        settings(
            "INSTALLED_APPS = ['a']\nif os.environ.get('X'):\n    INSTALLED_APPS.append('south')\n"
        ),
        "INSTALLED_APPS = ['a']\nif os.environ.get('X'):\n    pass\n"
    );
}

#[test]
fn the_same_holds_for_middleware() {
    let text = format!(
        "{WHOLE}MIDDLEWARE = ('django.contrib.auth.middleware.SessionAuthenticationMiddleware', 'a.B')\n"
    );
    assert!(after(&project(""), SETTINGS, &text).contains("MIDDLEWARE = ( 'a.B',)\n"));
}

#[test]
fn applications_that_are_packages_now_are_left_to_a_person() {
    let world = project(&WHOLE.replace(
        "INSTALLED_APPS = ()",
        "INSTALLED_APPS = (\n    'django.contrib.comments',\n    'django.contrib.formtools',\n    'django.contrib.markup',\n    'django.contrib.localflavor',\n)",
    ));
    world.write(
        "wsgi/shop/app/migrations/0001_initial.py",
        "from south.db import db\nfrom south.v2 import SchemaMigration\n",
    );
    let analysis = world.analyze(&Options::default());
    let found = people(&analysis, "removed-apps");
    let lines: Vec<_> = found.iter().map(|(_, line)| *line).collect();
    assert_eq!(
        lines,
        [Some(1), Some(2), Some(4), Some(5), Some(6), Some(7)],
        "{found:?}"
    );
    let advice: Vec<String> = of_rule(&analysis, "removed-apps")
        .into_iter()
        .map(|finding| format!("{:?}", finding.remedy))
        .collect();
    for package in [
        "django-contrib-comments",
        "django-formtools",
        "django-localflavor",
    ] {
        assert!(
            advice.iter().any(|text| text.contains(package)),
            "{package}"
        );
    }
}

#[test]
fn the_old_manage_py_is_written_anew() {
    let old = "#!/usr/bin/env python\nfrom django.core.management import execute_manager\nimport imp\ntry:\n    imp.find_module('settings') # Assumed to be in the same directory.\nexcept ImportError:\n    import sys\n    sys.stderr.write(\"Error: Can't find the file 'settings.py' in the directory containing %r.\\n\" % __file__)\n    sys.exit(1)\nimport settings\nif __name__ == \"__main__\":\n    execute_manager(settings)\n";
    let world = World::of(&[
        (".openshift/markers/README.md", "none\n"),
        ("requirements.txt", "Django==1.3\n"),
        (
            "wsgi/application",
            "import os\nimport sys\nsys.path.append(os.path.join(os.environ['OPENSHIFT_REPO_DIR'], 'wsgi'))\nos.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings'\nfrom django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
        ),
        ("wsgi/shop/__init__.py", ""),
        ("wsgi/shop/settings.py", WHOLE),
    ]);
    let new = after(&world, "wsgi/shop/manage.py", old);
    assert_eq!(
        new,
        "#!/usr/bin/env python\nimport os\nimport sys\n\nif __name__ == \"__main__\":\n    # The folder above: the settings are known by the name of the one that holds this file.\n    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))\n    os.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"shop.settings\")\n    from django.core.management import execute_from_command_line\n    execute_from_command_line(sys.argv)\n"
    );
    // Django 1.2's, and line ends of another system.
    let older = old
        .replace("import imp\n", "")
        .replace("imp.find_module('settings')", "import settings")
        .replace("import settings\nif", "if")
        .replace('\n', "\r\n");
    assert_eq!(
        after(&world, "wsgi/shop/manage.py", &older),
        new.replace('\n', "\r\n")
    );
    // One with code of its own is left to a person, and compiles as before.
    let own = format!("{old}print('done')\n");
    world.write("wsgi/shop/manage.py", &own);
    let analysis = world.analyze(&Options::default());
    assert_eq!(people(&analysis, "execute-manager").len(), 1);
    let result = world.convert(&Options::default());
    assert!(
        result
            .read("wsgi/shop/manage.py")
            .contains("    pass # Assumed to be")
    );
}

#[test]
fn arguments_and_methods_of_requests_and_responses() {
    let world = project(WHOLE);
    assert_eq!(
        after(
            &world,
            "wsgi/shop/views.py",
            "def v(request):\n    if not request.is_ajax():\n        return HttpResponse('x', mimetype='text/plain')\n    return django.http.HttpResponseNotFound(mimetype = M, content='y')\nguess(mimetype='z')\n"
        ),
        "def v(request):\n    if not (request.headers.get('x-requested-with') == 'XMLHttpRequest'):\n        return HttpResponse('x', content_type='text/plain')\n    return django.http.HttpResponseNotFound(content_type = M, content='y')\nguess(mimetype='z')\n"
    );
}

#[test]
fn tags_that_assign_are_simple_ones() {
    let world = project(WHOLE);
    assert_eq!(
        after(
            &world,
            "wsgi/shop/templatetags/t.py",
            "@register.assignment_tag\ndef a(): return 1\n@register.assignment_tag(takes_context=True)\ndef b(context): return 1\n"
        ),
        "@register.simple_tag\ndef a(): return 1\n@register.simple_tag(takes_context=True)\ndef b(context): return 1\n"
    );
}

#[test]
fn forms_of_models_have_all_fields_as_before() {
    let world = project(WHOLE);
    assert_eq!(
        after(
            &world,
            "wsgi/shop/forms.py",
            "class F(forms.ModelForm):\n    class Meta:\n        model = X  # ours\nclass G(ModelForm):\n    class Meta:\n        model = X\n        exclude = ('a',)\nclass H(F):\n    class Meta(F.Meta):\n        model = Y\n"
        ),
        "class F(forms.ModelForm):\n    class Meta:\n        fields = '__all__'\n        model = X  # ours\nclass G(ModelForm):\n    class Meta:\n        model = X\n        exclude = ('a',)\nclass H(F):\n    class Meta(F.Meta):\n        model = Y\n"
    );
}

#[test]
fn included_addresses_name_their_application() {
    let world = project(WHOLE);
    world.write("wsgi/shop/blog/urls.py", "urlpatterns = []\n");
    world.write(
        "wsgi/shop/news/urls.py",
        "app_name = 'news'\nurlpatterns = []\n",
    );
    assert_eq!(
        after(
            &world,
            "wsgi/shop/shop/urls.py",
            "a = include('blog.urls', namespace='b', app_name='blog')\nb = include('blog.urls', namespace='blog')\nc = include('news.urls', namespace='n')\nd = include('else.urls', namespace='e')\ne = include('blog.urls')\n"
        ),
        "a = include(('blog.urls', 'blog'), namespace='b')\nb = include(('blog.urls', 'blog'), namespace='blog')\nc = include('news.urls', namespace='n')\nd = include('else.urls', namespace='e')\ne = include('blog.urls')\n"
    );
    world.write(
        "wsgi/shop/shop/urls.py",
        "a = include(router.urls, namespace='api')\n",
    );
    let analysis = world.analyze(&Options::default());
    assert_eq!(people(&analysis, "include-namespace").len(), 1);
}

#[test]
fn fields_and_classes_that_are_gone_are_left_to_a_person() {
    let world = project(&format!(
        "{WHOLE}CACHES = {{'default': {{'BACKEND': 'django.core.cache.backends.memcached.MemcachedCache'}}}}\nSESSION_SERIALIZER = 'django.contrib.sessions.serializers.PickleSerializer'\nSTATICFILES_STORAGE = 'django.contrib.staticfiles.storage.CachedStaticFilesStorage'\n"
    ));
    world.write(
        "wsgi/shop/models.py",
        "from django.db import models\nclass A(models.Model):\n    ip = models.IPAddressField()\n",
    );
    world.write(
        "wsgi/shop/migrations/0001_initial.py",
        "fields = [models.IPAddressField()]\n",
    );
    let analysis = world.analyze(&Options::default());
    assert_eq!(people(&analysis, "removed-classes").len(), 3);
    let fields = of_rule(&analysis, "removed-fields");
    assert_eq!(fields.len(), 1);
    assert_eq!(fields.first().and_then(|field| field.line), Some(3));
    assert_eq!(
        after(
            &world,
            "wsgi/shop/models.py",
            "from django.contrib.postgres.fields import ArrayField, JSONField\n"
        ),
        "from django.contrib.postgres.fields import ArrayField\nfrom django.db.models import JSONField\n"
    );
}

#[test]
fn names_of_addresses_in_templates_get_quotes() {
    let old = |version: &str| {
        let world = project(WHOLE);
        world.write("requirements.txt", format!("Django=={version}\n"));
        world.write(
            "wsgi/shop/shop/urls.py",
            "urlpatterns = [url(r'^$', v, name='home'), url(r'^a$', w, name='blog-entry')]\n",
        );
        world
    };
    let page = "{% url home %}{% url blog-entry 1 %}{% url next %}{% url 'home' %}{% url blog.views.index %}{% url home a,b %}\n";
    let world = old("1.4.2");
    assert_eq!(
        after(&world, "wsgi/shop/templates/a.html", page),
        "{% url 'home' %}{% url 'blog-entry' 1 %}{% url next %}{% url 'home' %}{% url blog.views.index %}{% url home a,b %}\n"
    );
    let analysis = world.analyze(&Options::default());
    assert_eq!(people(&analysis, "template-urls").len(), 3);
    // Since 1.5 it is a variable, unless it cannot be one.
    let world = old("1.8.4");
    assert_eq!(
        after(&world, "wsgi/shop/templates/a.html", page),
        page.replace("blog-entry 1", "'blog-entry' 1")
    );
    // As it is where the template says so itself.
    let world = old("1.4.2");
    world.write(
        "wsgi/shop/templates/a.html",
        "{% load url from future %}{% url home %}\n",
    );
    let result = world.convert(&Options::default());
    assert_eq!(
        result.read("wsgi/shop/templates/a.html"),
        "{% url home %}\n"
    );
}

#[test]
fn tags_and_libraries_that_are_gone() {
    let world = project(WHOLE);
    world.write(
        "wsgi/shop/templates/a.html",
        "{% ssi \"/x\" %}\n{% load humanize comments %}\n{% load markup %}\n",
    );
    world.write("wsgi/shop/app/templatetags/markup.py", "register = 1\n");
    let analysis = world.analyze(&Options::default());
    let lines: Vec<_> = people(&analysis, "template-tags")
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    assert_eq!(lines, [Some(1), Some(2)]);
}
