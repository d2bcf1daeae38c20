//! The page: the same bytes for the same entries.

use super::entries::Entry;

/// Renders the page.
pub(crate) fn render(title: &str, entries: &[Entry]) -> String {
    let title = escape(title);
    let mut items = String::new();
    for entry in entries {
        items.push_str(&format!(
            "      <li id=\"entry-{}\"><b>{}</b>: {}</li>\n",
            entry.id,
            escape(&entry.name),
            escape(&entry.message)
        ));
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n  <head><meta charset=\"utf-8\"><title>{title}</title></head>\n  \
         <body>\n    <h1>{title}</h1>\n    <p>{} entries</p>\n    <ol>\n{items}    </ol>\n    \
         <form method=\"post\" action=\"/entries\">\n      <input name=\"name\" placeholder=\"name\">\n      \
         <input name=\"message\" placeholder=\"message\">\n      <button>Sign</button>\n    </form>\n  </body>\n</html>\n",
        entries.len()
    )
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_visitors_write_stays_text() {
        let entry = Entry {
            id: 1,
            name: "<b>".into(),
            message: "\"x\" & 'y'".into(),
        };
        let page = render("Shop", &[entry]);
        assert!(
            page.contains(
                "<li id=\"entry-1\"><b>&lt;b&gt;</b>: &quot;x&quot; &amp; &#39;y&#39;</li>"
            )
        );
        assert!(page.contains("<p>1 entries</p>"));
    }
}
