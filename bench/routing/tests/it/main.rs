//! The hot path allocates nothing, and the rivals do what was published of them.

use routing_bench::cost;
use routing_bench::rivals::{Envoy, Priority, Resilience4j, Static};
use routing_bench::run::{Oracle, Router, run};
use routing_bench::scenes::{play, scenes};
use routing_bench::world::{World, nine};

fn mean(world: &World, make: impl Fn() -> Box<dyn Router>) -> f64 {
    (0..3).map(|seed| run(world, 1_000 + seed, make().as_mut()).regret).sum::<f64>() / 3.0
}

#[test]
fn a_decision_allocates_nothing() {
    assert_eq!(cost::allocations(), (0, 0));
}

#[test]
fn rivals_lose_what_the_reference_says_that_they_lose() {
    let nine = nine();
    let down = nine.iter().find(|w| w.name == "down").expect("it is one of the nine");
    let flap = nine.iter().find(|w| w.name == "flap").expect("it is one of the nine");
    assert_eq!(mean(down, || Box::new(Static)).round(), 27_300.0);
    let breaker = || Box::new(Priority::new(Resilience4j::default)) as Box<dyn Router>;
    assert!((mean(down, breaker) - 201.0).abs() < 6.0);
    assert!((mean(flap, breaker) - 351.0).abs() < 6.0);
    assert!((300.0..550.0).contains(&mean(down, || Box::new(Envoy::default()))));
    assert_eq!(mean(down, || Box::new(Oracle::of(down))), 0.0);
}

#[test]
fn scenes_draw_the_same_for_every_router() {
    let scenes = scenes();
    let sparse = scenes.iter().find(|s| s.per_second < 1.0).expect("one is sparse");
    let (first, again) = (play(sparse, 7, None), play(sparse, 7, Some(&mut Static)));
    assert_eq!(first.regret, 0.0);
    assert!(again.lost > first.lost);
    assert_eq!(play(sparse, 7, Some(&mut Static)).lost, again.lost);
}
