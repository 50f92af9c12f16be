use simulator::{Plant, Run, shrink, simulate};

/// The most seeds that it may take to catch a planted bug.
const SEEDS: u64 = 200;

/// Whether some seed catches the bug, under its own rule's number.
fn caught(plant: Plant, rule: u8) -> Option<u64> {
    let mut others = Vec::new();
    for seed in 0..SEEDS {
        let outcome = simulate(Run { plant: Some(plant), ..Run::new(seed, 40) });
        match outcome.violation {
            Some(violation) if violation.rule == rule => return Some(seed),
            Some(violation) => others.push((seed, violation.rule, violation.text)),
            None => {}
        }
    }
    eprintln!("{plant:?}: caught only as {others:?}");
    None
}

#[test]
fn every_planted_bug_is_caught_by_its_rule() {
    let missed = Plant::ALL.iter().filter(|(plant, rule)| caught(*plant, *rule).is_none());
    assert_eq!(missed.collect::<Vec<_>>(), Vec::<&(Plant, u8)>::new());
}

#[test]
fn every_rule_has_a_planted_bug() {
    let rules: Vec<u8> = (1..=10).chain([12]).chain(14..=17).collect();
    let planted = |rule: &&u8| Plant::ALL.iter().any(|(_, r)| r == *rule);
    assert_eq!(rules.iter().filter(planted).count(), rules.len());
}

#[test]
fn a_caught_bug_shrinks_to_one_payment() {
    let run = Run { plant: Some(Plant::IntentAfterCall), ..Run::new(0, 40) };
    let whole = simulate(Run { trace: true, ..run.clone() });
    let (smallest, outcome) = shrink(&run).expect("the bug is planted");
    assert_eq!(smallest.only.map(|only| only.len()), Some(1));
    assert_eq!(outcome.violation.as_ref().map(|v| v.rule), Some(1));
    assert!(outcome.trace.len() <= whole.trace.len());
    assert!(outcome.trace.len() < 12, "{:#?}", outcome.trace);
}
