//! Times analysis and plan of a tree, and says how much memory they took: `cargo run --release --example speed -- DIR`.
//!
//! With `--make DIR` it writes a tree of 2,000 files first, of the shapes that real ones have.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use openshifter_v2::{Limits, Options, RunnerFile, Tree, analyze, plan, write_out};

#[expect(clippy::print_stdout, reason = "a program for people")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--make") {
        args.remove(0);
        make(Path::new(args.first().ok_or("name a folder")?))?;
    }
    let (most_ms, most_kib) = (
        limit(&mut args, "--limit-ms")?,
        limit(&mut args, "--limit-kib")?,
    );
    let dir = args.first().ok_or("name a folder")?;
    // Never where another run has removed files just before: some file systems are slow to give their places away again.
    let out = Path::new(dir).with_extension(format!("result-{}", std::process::id()));
    let begin = Instant::now();
    let tree = Tree::load(Path::new(dir), &Limits::default())?;
    let loaded = begin.elapsed();
    let analysis = analyze(&tree, &Options::default())?;
    let analysed = begin.elapsed();
    let runner = RunnerFile::new(b"#!/bin/sh\n".to_vec())?;
    let plan = plan(&tree, &analysis, Some(&runner))?;
    let planned = begin.elapsed();
    write_out(&tree, &plan, &out)?;
    let written = begin.elapsed();
    let status = fs_err::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or_default()
        .trim();
    let clock = fs_err::read_to_string("/proc/self/stat")?;
    // Ticks of a hundredth of a second, the 14th and 15th field; the name of the program in the second one may hold blanks.
    let ticks: u64 = clock
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    println!(
        "{} files, {} findings, {} changes: read after {loaded:.0?}, analysed after {analysed:.0?}, planned after {planned:.0?}, written after {written:.0?}; {} ms of CPU; at most {peak}",
        tree.len(),
        analysis.findings.len(),
        plan.actions.len(),
        ticks * 10,
    );
    let kib: u64 = peak.split(' ').next().unwrap_or_default().parse()?;
    if written.as_millis() > u128::from(most_ms) || kib > most_kib {
        return Err(format!("that is over {most_ms} ms or {most_kib} KiB").into());
    }
    Ok(())
}

/// The value of an option, which is taken out of the arguments; no limit where it is not there.
fn limit(args: &mut Vec<String>, name: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let Some(at) = args.iter().position(|arg| arg == name) else {
        return Ok(u64::MAX);
    };
    args.remove(at);
    if at == args.len() {
        return Err(format!("{name} wants a number").into());
    }
    Ok(args.remove(at).parse()?)
}

/// The starter, and applications beside it until there are 2,000 files: sources that are edited, sources that are not, styles, pictures.
fn make(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/django-starter");
    if dir.exists() {
        fs_err::remove_dir_all(dir)?;
    }
    let mut count = copy(&starter, dir)?;
    let mut at = 0;
    while count < 2000 {
        let folder = dir.join(format!("wsgi/myproject/app{at}"));
        fs_err::create_dir_all(folder.join("static"))?;
        let mut models = String::from("from django.db import models\n");
        let mut views = String::from(
            "import os\nfrom django.core.urlresolvers import reverse\nfrom django.shortcuts import render\n",
        );
        for number in 0..12 {
            write!(
                models,
                "\n\nclass Thing{number}(models.Model):\n    name = models.CharField(max_length=80)\n    owner = models.ForeignKey('auth.User', related_name='things{number}')\n\n    def __str__(self):\n        return self.name\n"
            )?;
            write!(
                views,
                "\n\ndef view{number}(request, number=None):\n    \"\"\"Shows thing {number}.\"\"\"\n    things = [thing for thing in Thing{number}.objects.filter(name__startswith='x') if thing.owner_id != number]\n    return render(request, 'app{at}/view{number}.html', {{'things': things, 'home': reverse('home')}})\n"
            )?;
        }
        let plain = (0..60).fold(String::new(), |mut text, number| {
            let _ = write!(text, "def helper{number}(a, b=None):\n    return {{'a': a, 'b': b or [x * {number} for x in range(a)]}}\n\n");
            text
        });
        let style = ".a { color: #123 }\n".repeat(400);
        for (name, text) in [
            ("__init__.py", ""),
            ("models.py", models.as_str()),
            ("views.py", views.as_str()),
            (
                "urls.py",
                "from django.conf.urls import patterns, url\nurlpatterns = patterns('', url(r'^x/', 'x'))\n",
            ),
            ("helpers.py", plain.as_str()),
            ("tests.py", plain.as_str()),
            ("admin.py", "from django.contrib import admin\n"),
            ("page.html", "{% load staticfiles %}<p>{{ x }}</p>\n"),
            ("static/style.css", style.as_str()),
            ("static/data.json", "{\"a\": 1}\n"),
        ] {
            fs_err::write(folder.join(name), text)?;
            count += 1;
        }
        at += 1;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<usize> {
    fs_err::create_dir_all(to)?;
    let mut count = 0;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            count += copy(&entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), &target)?;
            count += 1;
        }
    }
    Ok(count)
}
