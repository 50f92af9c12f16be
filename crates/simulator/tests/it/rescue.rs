use simulator::rescue::{Part, Rescue, Trouble, row};

/// Rules 3 and 4 hold while traffic moves, and nobody is lost or kept waiting for a channel
/// that hangs; without the look at silence some are.
#[test]
fn what_a_hanging_channel_held_is_rescued_within_the_request() {
    let of = |part| row(("hang100", ""), Rescue { trouble: Trouble::Hang(100), part }, 0..1);
    let (whole, deaf) = (of(Part::Whole), of(Part::Deaf));
    assert_eq!((whole.violation, deaf.violation), (None, None));
    assert_eq!((whole.lost, whole.late), (0, 0));
    assert!(whole.rescued_in_flight > 10, "{}", whole.rescued_in_flight);
    assert!(whole.p99_ms < 2_000, "{} ms", whole.p99_ms);
    assert!(deaf.lost + deaf.late > 100, "{} and {}", deaf.lost, deaf.late);
}
