use domain::{Locale, Timestamp};

use super::*;

fn shell(locale: Locale) -> Shell {
    Shell {
        locale,
        room: Room::Ladder,
        here: "/console/ladder".into(),
        operator: "li".into(),
        role: Role::Operator,
        csrf: "t0ken".into(),
        told: None,
    }
}

fn hostile() -> Line {
    Line::from("<img src=x>").and(Line::link("\"'&", "/console?q=\"><b>"))
}

fn table() -> Table {
    let mut table = Table::new("levels", &["reach", "#level"]);
    table.push(vec![Cell::from(hostile()).with("<i>"), Cell::number(3).toned(Tone::Bad)]);
    table
}

fn form() -> Form {
    let end = Input::End {
        spans: vec![Pick::new("1h", "1 hour", "1h"), Pick::new("at", "until", "1h")],
        at: "\"><script>".into(),
        zone: "-480".into(),
    };
    let reason = Input::Text { value: "<b>typed</b>".into(), max: 200, required: true };
    Form {
        id: "move",
        title: "Move".into(),
        about: vec!["<u>".into()],
        action: "/console/ladder/move".into(),
        search: false,
        fields: vec![
            Field::new("reason", "Why", reason).wrong(Some("too short".into())).hint("be brief"),
            Field::new("end", "Ends", end),
            Field::new("to", "To", Input::Select(vec![Pick::new("a\"", "<A>", "a\"")])),
            Field::new("sure", "", Input::Check { ticked: true, words: "sure".into() }),
        ],
        button: "Go".into(),
    }
}

fn view() -> View {
    let parts = vec![
        Part::Heading("<h9>".into()),
        Part::Note(hostile(), Some(Tone::Warn)),
        Part::Table(table()),
        Part::Facts(vec![("<dt>".into(), Line::code("<c>"))]),
        Part::Lines("<h8>".into(), vec![hostile()]),
        Part::Form(form()),
        Part::Links(vec![("<l>".into(), "/console?a=1&b=\"".into(), true)]),
    ];
    View { blocks: vec![Block::live("levels", parts)], live: true, ..View::default() }
}

#[test]
fn whatever_stands_in_a_part_stays_text() {
    let html = page(&shell(Locale::En), &view());
    for tag in [
        "<img src",
        "<i>",
        "<b>",
        "<h9>",
        "<h8>",
        "<c>",
        "<u>",
        "<l>",
        "<A>",
        "\"><script>",
        "<dt><",
    ] {
        assert!(!html.contains(tag), "{tag}: {html}");
    }
    assert!(html.contains("&#60;img src=x&#62;") || html.contains("&lt;img src=x&gt;"), "{html}");
    assert!(html.contains("tone bad") && html.contains("data-part=\"levels\""));
}

#[test]
fn a_form_keeps_what_was_typed_and_names_its_mistake() {
    let html = page(&shell(Locale::En), &view());
    assert!(html.contains("typed"), "{html}");
    assert!(html.contains("aria-describedby=\"move-reason-mistake move-reason-hint\""), "{html}");
    assert!(html.contains("id=\"move-reason-mistake\">too short"));
    assert!(html.contains("name=\"end_zone\" value=\"-480\""));
    let posted = html.matches("method=\"post\"").count();
    assert_eq!(html.matches("name=\"csrf\" value=\"t0ken\"").count(), posted);
}

#[test]
fn rooms_exist_in_both_languages() {
    for (locale, name) in [(Locale::Zh, "降级与开关"), (Locale::En, "Ladder and features")] {
        let html = page(&shell(locale), &View::default());
        assert!(html.contains(&format!("<h1>{name}</h1>")), "{html}");
        for room in Room::ALL {
            assert!(html.contains(&format!("href=\"{}\"", room.path())));
        }
        assert_eq!(html.matches("aria-current=\"page\"").count(), 1);
        let door = Door { locale, csrf: "c", name: "<x>", told: None, next: "/console" };
        let html = sign_in(&door);
        assert!(html.contains("name=\"csrf\" value=\"c\"") && !html.contains("<x>"), "{html}");
    }
}

#[test]
fn nothing_in_a_page_needs_inline_code() {
    let html = page(&shell(Locale::Zh), &view());
    for inline in [" style=", "<style", " onclick", "javascript:", "<script>"] {
        assert!(!html.contains(inline), "{inline}");
    }
}

#[test]
fn times_are_written_for_people_and_for_the_script() {
    let at = Moment(Timestamp::from_secs(1_795_500_000));
    assert_eq!(at.iso(), "2026-11-24T06:00:00Z");
    assert_eq!(at.utc(), "2026-11-24 06:00:00 UTC");
    let told = Line::at("until {} only", at.0);
    assert_eq!(told.0.len(), 3);
}
