//! Signals to a runner that has a terminal: those of the terminal, and those that a container engine sends to process 1.

use openshifter_testing::Terminal;

use crate::image::{Image, Runner};

/// Sends itself signals by way of the runner, and then waits for a key.
const APPLICATION: &str = r#"#!/bin/bash
heard=
for name in QUIT INT WINCH; do trap "heard=\${heard}$name," $name; done
for name in QUIT INT WINCH; do
    kill -$name $PPID
    until [[ $heard == *$name,* ]]; do sleep 0.02; done
done
echo "sent $heard"
heard=
echo "now type"
until [ -n "$heard" ]; do sleep 0.02; done
sleep 0.5
echo "typed $heard"
"#;

fn hears(words: &[&str]) {
    let image = Image::new();
    image.script("local/app", APPLICATION);
    // The terminal is to be its session's own, as in a container that has one.
    let mut all = vec!["setsid", "--ctty", "--wait", "openshifter-image"];
    all.extend(words);
    let mut terminal = Terminal::start(image.command(Runner::Ours, &all));
    terminal.until_shows("sent QUIT,INT,WINCH,");
    terminal.answer("now type", "\u{3}");
    // Once: the terminal has given it to the application itself.
    terminal.until_shows("typed INT,\r\n");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn process_1_passes_on_what_its_terminal_has_not_sent() {
    hears(&["--init", "exec", "app"]);
}
