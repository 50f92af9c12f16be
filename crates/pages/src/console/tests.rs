use domain::{Level, Locale};

use super::*;

fn shell(role: Role, locale: Locale) -> Shell<'static> {
    Shell { locale, room: Room::Ladder, operator: "li", role, csrf: "t0ken", told: None }
}

fn view() -> LadderRoom {
    let mut levels = Table::new(&["reach", "#level"]);
    let hostile = Cell::text("<img src=x>").with("\"'&").to("/console?q=\"><b>");
    levels.push(Some("l1".into()), vec![hostile, Cell::number(3).toned(Tone::Bad)]);
    LadderRoom {
        levels,
        reaches: vec![("all".into(), "All".into())],
        gates: Table::default(),
        purposes: vec![("renewal", "Renewals".into())],
    }
}

#[test]
fn whoever_only_looks_is_shown_no_forms_but_those_of_their_own_session() {
    let looking = ladder(&shell(Role::Viewer, Locale::En), &view());
    assert!(!looking.contains("/console/ladder/move"), "{looking}");
    assert!(looking.contains("/console/sign-out"));
    let operating = ladder(&shell(Role::Operator, Locale::En), &view());
    assert!(operating.contains("/console/ladder/move"));
    let forms = operating.matches("<form").count();
    assert_eq!(operating.matches("name=\"csrf\" value=\"t0ken\"").count(), forms);
}

#[test]
fn what_stands_in_a_table_stays_text() {
    let html = table(Locale::En, &view().levels);
    assert!(!html.contains("<img") && !html.contains("<b>"), "{html}");
    assert!(html.contains("id=\"l1\"") && html.contains("tone bad"));
    assert!(table(Locale::Zh, &Table::new(&["a"])).contains("没有内容"));
}

#[test]
fn rooms_exist_in_both_languages() {
    for (locale, name, level) in
        [(Locale::Zh, "降级与开关", "保留订单"), (Locale::En, "Ladder and features", "order held")]
    {
        let html = ladder(&shell(Role::Approver, locale), &view());
        assert!(html.contains(name) && html.contains(level), "{html}");
        for room in Room::ALL {
            assert!(html.contains(&format!("href=\"{}\"", room.path())));
        }
        assert_eq!(html.matches("aria-current").count(), 1);
        assert_eq!(html.matches("<option value=\"").count(), Level::ALL.len() + 2 + 7);
    }
}
