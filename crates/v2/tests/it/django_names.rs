//! Names of old Djangos in sources and templates.

use openshifter_v2::{Options, Remedy, Version};

use crate::settings::{WHOLE, project};
use crate::support::of_rule;

fn after(path: &str, text: &str) -> String {
    let path = format!("wsgi/shop/{path}");
    let world = project(WHOLE);
    world.write(&path, text);
    let result = world.convert(&Options::default()).read(&path);
    world.write(&path, &result);
    let again = world
        .plan(&Options::default())
        .expect("it can be converted");
    assert!(
        again.actions.iter().all(|action| action.path != path),
        "the second conversion changes {path}"
    );
    result
}

#[test]
fn url_functions_are_imported_under_their_old_names() {
    assert_eq!(
        after(
            "urls.py",
            "from django.conf.urls import patterns, include, url\nfrom django.contrib import admin\nadmin.autodiscover()\nurlpatterns = patterns('',\n    # the site\n    url(r'^admin/', include(admin.site.urls)),\n    (r'^shop/', include('shop.urls')),\n)\nurlpatterns += patterns('', url(r'^x/', view))\n"
        ),
        "from django.urls import include, re_path as url\nfrom django.contrib import admin\nadmin.autodiscover()\nurlpatterns = [\n    # the site\n    url(r'^admin/', admin.site.urls),\n    url(r'^shop/', include('shop.urls')),\n]\nurlpatterns += [ url(r'^x/', view)]\n"
    );
    assert_eq!(
        after(
            "urls.py",
            "from django.conf.urls import url, handler404\nurlpatterns = [url(r'^x/', view)]\n"
        ),
        "from django.urls import re_path as url\nfrom django.conf.urls import handler404\nurlpatterns = [url(r'^x/', view)]\n"
    );
    assert_eq!(
        after(
            "urls.py",
            "from django.conf.urls.defaults import *\nurlpatterns = []\n"
        ),
        "from django.urls import include, re_path as url\nfrom django.conf.urls import handler400, handler403, handler404, handler500\nurlpatterns = []\n"
    );
    assert_eq!(
        after(
            "urls.py",
            "from django.conf.urls import include\nx = include('y')\n"
        ),
        "from django.conf.urls import include\nx = include('y')\n"
    );
}

#[test]
fn views_that_are_named_by_strings_are_left_to_a_person() {
    let world = project(WHOLE);
    world.write("wsgi/shop/urls.py", "from django.conf.urls import patterns, url\nurlpatterns = patterns('shop.views', url(r'^x/', 'index'))\n");
    let analysis = world.analyze(&Options::default());
    let people: Vec<_> = of_rule(&analysis, "url-functions")
        .into_iter()
        .filter(|finding| matches!(finding.remedy, Remedy::Person(_)))
        .map(|finding| finding.line)
        .collect();
    assert_eq!(people, [Some(2), Some(2)]);
}

#[test]
fn moved_modules_and_names_are_imported_from_where_they_are() {
    assert_eq!(
        after(
            "views.py",
            "from django.core.urlresolvers import reverse, reverse_lazy\nfrom django.utils.translation import ugettext as _, ugettext_lazy, activate\nfrom django.utils.encoding import (\n    force_text,\n    smart_text as text,\n)\nfrom django.utils.http import urlquote, urlencode\nfrom django.utils import simplejson\nimport django.utils.simplejson as json2\n"
        ),
        "from django.urls import reverse, reverse_lazy\nfrom django.utils.translation import gettext as _, gettext_lazy as ugettext_lazy, activate\nfrom django.utils.encoding import (\n    force_str as force_text,\n    smart_str as text,\n)\nfrom urllib.parse import quote as urlquote\nfrom django.utils.http import urlencode\nimport json as simplejson\nimport json as json2\n"
    );
}

#[test]
fn foreign_keys_say_what_they_did() {
    assert_eq!(
        after(
            "models.py",
            "from django.db import models\nfrom django.db.models import ForeignKey\nclass A(models.Model):\n    b = models.ForeignKey('B', null=True,)\n    c = models.OneToOneField(\n        C,  # the other\n    )\n    d = models.ForeignKey(D, on_delete=models.SET_NULL)\n    e = ForeignKey(E)\n"
        ),
        "from django.db import models\nfrom django.db.models import ForeignKey\nclass A(models.Model):\n    b = models.ForeignKey('B', null=True, on_delete=models.CASCADE,)\n    c = models.OneToOneField(\n        C, on_delete=models.CASCADE,  # the other\n    )\n    d = models.ForeignKey(D, on_delete=models.SET_NULL)\n    e = ForeignKey(E)\n"
    );
}

#[test]
fn the_python_2_decorator_goes() {
    assert_eq!(
        after(
            "models.py",
            "from django.utils.encoding import python_2_unicode_compatible, force_bytes\n@python_2_unicode_compatible\nclass A(object):\n    pass\n"
        ),
        "from django.utils.encoding import force_bytes\nclass A(object):\n    pass\n"
    );
    assert_eq!(
        after(
            "models.py",
            "from django.utils.encoding import force_bytes, python_2_unicode_compatible\n@python_2_unicode_compatible\nclass A(object):\n    pass\n"
        ),
        "from django.utils.encoding import force_bytes\nclass A(object):\n    pass\n"
    );
}

#[test]
fn edits_within_one_import_do_not_meet() {
    assert_eq!(
        after(
            "models.py",
            "from django.utils.encoding import python_2_unicode_compatible, smart_text\nfrom django.utils.translation import (\n    ugettext as _,  # short\n    ungettext,\n)\n@python_2_unicode_compatible\nclass A(object):\n    pass\n"
        ),
        "from django.utils.encoding import smart_str as smart_text\nfrom django.utils.translation import (\n    gettext as _,  # short\n    ngettext as ungettext,\n)\nclass A(object):\n    pass\n"
    );
}

#[test]
fn properties_are_not_called() {
    assert_eq!(
        after(
            "views.py",
            "x = request.user.is_authenticated() and not user.is_anonymous()\n"
        ),
        "x = request.user.is_authenticated and not user.is_anonymous\n"
    );
}

#[test]
fn the_old_handler_is_replaced() {
    assert_eq!(
        after(
            "start.py",
            "import os\nimport django.core.handlers.wsgi\napplication = django.core.handlers.wsgi.WSGIHandler()\n"
        ),
        "import os\nimport django.core.wsgi\napplication = django.core.wsgi.get_wsgi_application()\n"
    );
}

#[test]
fn what_is_gone_is_left_to_a_person() {
    let world = project(&format!("{WHOLE}USE_L10N = True\n"));
    world.write("wsgi/shop/views.py", "from django.shortcuts import render_to_response\nfrom django.contrib.auth import views as auth_views\nx = auth_views.login\nclass A:\n    def __unicode__(self):\n        return ''\n");
    let analysis = world.analyze(&Options::default());
    let found: Vec<_> = of_rule(&analysis, "removed-names")
        .iter()
        .map(|finding| (finding.severity.title(), finding.line))
        .collect();
    assert_eq!(
        found,
        [
            ("blocker", Some(1)),
            ("blocker", Some(3)),
            ("warning", Some(5)),
            ("info", Some(8))
        ]
    );
}

#[test]
fn old_tags_in_templates_are_replaced() {
    assert_eq!(
        after(
            "templates/a.html",
            "{% load staticfiles i18n %}{%load admin_static%}{% load url from future %}x\n"
        ),
        "{% load static i18n %}{%load static%}x\n"
    );
}

#[test]
fn a_tree_that_stays_on_its_django_is_not_ported() {
    let options = Options {
        python: Version::new(2, 7),
        django: Version::new(1, 8),
        ..Options::default()
    };
    let world =
        project("MIDDLEWARE_CLASSES = ()\nINSTALLED_APPS = ()\nTEMPLATES = []\nLOGGING = {}\n");
    let text =
        "from django.conf.urls import patterns, url\nurlpatterns = patterns('', url('x', 'y'))\n";
    world.write("wsgi/shop/urls.py", text);
    let result = world.convert(&options);
    assert_eq!(result.read("wsgi/shop/urls.py"), text);
    assert!(
        result
            .read("wsgi/shop/shop/settings.py")
            .contains("MIDDLEWARE_CLASSES")
    );
    assert_eq!(
        result.read("requirements.txt"),
        "Django==1.8.4\nmod_wsgi<5\n"
    );
}
