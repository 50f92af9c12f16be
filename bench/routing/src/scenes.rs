//! Scenes that need more than four rates: time that calls take, issuers, codes that must be
//! paid, announced absences, a day's curve. Time runs in ticks of a fiftieth of a second.
//!
//! Latency is lognormal with a median of 0.9 s and a 99th percentile of 4 s; a call that hangs
//! is given up after 30 s. A code is paid after 25 s in the median, or expires after 300 s.
//! Rivals are told how each payment ended, at the moment when it did; what else there is to
//! know (pending calls, issuers, codes shown, announcements) their rules do not ask for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::run::{Figures, Router, best};
use crate::watch::Watch;
use crate::world::{BASE, CHANNELS};

/// Issuers in scenes that tell them apart.
pub const ISSUERS: usize = 40;
/// Ticks in a second.
const TICKS: f64 = 50.0;
const TIMEOUT_S: f64 = 30.0;
const EXPIRY_S: f64 = 300.0;
/// Median and sigma of the logarithm: of calls, and of the time to pay.
const CALLS: (f64, f64) = (0.9, 0.6412);
const PAYING: (f64, f64) = (25.0, 0.77);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// Success is multiplied.
    Rate(f64),
    /// A share of calls is never answered.
    Hang(f64),
    /// Calls take so many times as long.
    Slow(f64),
}

/// Something goes wrong for a while.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What.
    pub what: What,
    /// On which channel; `None` is all.
    pub channel: Option<usize>,
    /// For which issuer; `None` is all.
    pub issuer: Option<usize>,
    /// First and last minute.
    pub minutes: (f64, f64),
}

impl Event {
    fn hits(&self, issuer: usize, minute: f64) -> bool {
        self.issuer.is_none_or(|i| i == issuer)
            && (self.minutes.0..self.minutes.1).contains(&minute)
    }
}

/// A scene.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Its name in tables.
    pub name: &'static str,
    /// Length.
    pub minutes: f64,
    /// Payments a second, on average.
    pub per_second: f64,
    /// Whether traffic follows the hours of a day.
    pub daily: bool,
    /// Issuers; the first are the largest.
    pub issuers: usize,
    /// Success on a good day.
    pub base: [f64; CHANNELS],
    /// What goes wrong.
    pub events: Vec<Event>,
    /// The customer must pay a code that is shown.
    pub presented: bool,
    /// The first event was announced.
    pub announced: bool,
}

impl Scene {
    fn new(name: &'static str, events: Vec<Event>) -> Scene {
        Scene {
            name,
            minutes: 30.0,
            per_second: 50.0,
            daily: false,
            issuers: 10,
            base: BASE,
            events,
            presented: false,
            announced: false,
        }
    }

    fn rates(&self, issuer: usize, minute: f64) -> [f64; CHANNELS] {
        let mut rates = self.base;
        if self.daily {
            // Issuers differ by up to four points, in the same way on every channel.
            let offset = ((issuer * 7) % 9) as f64 * 0.01 - 0.04;
            rates.iter_mut().for_each(|rate| *rate = (*rate + offset).min(0.99));
        }
        for event in self.events.iter().filter(|e| e.hits(issuer, minute)) {
            let factor = match event.what {
                What::Rate(factor) => factor,
                What::Hang(share) => 1.0 - share,
                What::Slow(_) => 1.0,
            };
            for (channel, rate) in rates.iter_mut().enumerate() {
                if event.channel.is_none_or(|c| c == channel) {
                    *rate *= factor;
                }
            }
        }
        rates
    }

    /// Share that hangs, and how many times as long answers take.
    fn calls(&self, channel: usize, issuer: usize, minute: f64) -> (f64, f64) {
        let mut calls = (0.0, 1.0);
        for event in self.events.iter().filter(|e| e.hits(issuer, minute)) {
            match event.what {
                _ if event.channel.is_some_and(|c| c != channel) => {}
                What::Hang(share) => calls.0 = share,
                What::Slow(factor) => calls.1 = factor,
                What::Rate(_) => {}
            }
        }
        calls
    }

    /// Payments in a tick.
    fn flow(&self, minute: f64) -> f64 {
        let hour = minute / 60.0;
        // A quiet night, a high noon and a higher evening, as shops have.
        let peak = |at: f64, wide: f64| (-((hour - at) / wide).powi(2)).exp();
        let shape = 0.15 + 1.3 * peak(12.5, 3.0) + 1.9 * peak(20.5, 2.2);
        let shape = if self.daily { shape / 0.74 } else { 1.0 };
        self.per_second * shape / TICKS
    }

    fn issuer(&self, roll: f64) -> usize {
        if !self.daily {
            return ((roll * self.issuers as f64) as usize).min(self.issuers - 1);
        }
        // Zipf's law, nearly: the share of the k-th falls as 1/k.
        ((self.issuers as f64 + 1.0).powf(roll) - 1.0) as usize % self.issuers
    }
}

fn event(what: What, channel: Option<usize>, minutes: (f64, f64)) -> Event {
    Event { what, channel, issuer: None, minutes }
}

fn day(name: &'static str, events: Vec<Event>) -> Scene {
    Scene {
        minutes: 1_440.0,
        per_second: 4.0,
        daily: true,
        issuers: ISSUERS,
        base: [0.95, 0.90, 0.83, 0.74],
        ..Scene::new(name, events)
    }
}

/// All scenes.
pub fn scenes() -> Vec<Scene> {
    let ten = (10.0, 20.0);
    let first = |what: What| vec![event(what, Some(0), ten)];
    let bank = |channel: Option<usize>| {
        vec![Event { issuer: Some(3), ..event(What::Rate(0.0), channel, ten) }]
    };
    let flaps = (0..6).map(|i| {
        let from = 1_290.0 + 2.0 * f64::from(i);
        event(What::Rate(0.0), Some(0), (from, from + 1.0))
    });
    let mut incidents = vec![
        event(What::Rate(0.0), Some(0), (605.0, 613.0)),
        event(What::Rate(0.7), Some(0), (840.0, 865.0)),
        Event { issuer: Some(2), ..event(What::Rate(0.0), Some(0), (960.0, 990.0)) },
        event(What::Hang(1.0), Some(0), (1_200.0, 1_205.0)),
    ];
    incidents.extend(flaps);
    vec![
        Scene::new("latency x1.2", first(What::Slow(1.2))),
        Scene::new("latency x1.5", first(What::Slow(1.5))),
        Scene::new("latency x2", first(What::Slow(2.0))),
        Scene::new("hang 30 %", first(What::Hang(0.3))),
        Scene::new("hang 100 %", first(What::Hang(1.0))),
        Scene::new("one bank in one channel", bank(Some(0))),
        Scene::new("one bank on all channels", bank(None)),
        Scene {
            minutes: 60.0,
            per_second: 5.0,
            presented: true,
            base: [0.78, 0.77, 0.76, 0.74],
            ..Scene::new(
                "silent: codes nobody can pay",
                vec![event(What::Rate(0.0), Some(0), (20.0, 40.0))],
            )
        },
        Scene { announced: true, ..Scene::new("announced maintenance", first(What::Rate(0.0))) },
        Scene {
            minutes: 90.0,
            per_second: 0.5,
            ..Scene::new("hard down at 0.5/s", vec![event(What::Rate(0.0), Some(0), (30.0, 60.0))])
        },
        day("a day with incidents", incidents),
        day("a day without", Vec::new()),
    ]
}

/// What happens later: due, told in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Later {
    /// The call was answered or given up: channel, issuer, sent, answered, good.
    Answered(usize, usize, usize, bool, bool),
    /// The code was paid or has expired: channel, issuer, shown, paid.
    Ended(usize, usize, usize, bool),
}

/// Draws of one payment, the same for every router.
struct Drawn {
    issuer: usize,
    success: [f64; CHANNELS],
    hang: f64,
    call_s: f64,
    pay_s: f64,
    dice: f64,
}

fn lognormal((median, sigma): (f64, f64), dice: &mut ChaCha8Rng) -> f64 {
    // Box and Muller.
    let (u, v): (f64, f64) = (dice.random(), dice.random());
    let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    median * (sigma * normal).exp()
}

impl Drawn {
    fn new(scene: &Scene, dice: &mut ChaCha8Rng) -> Drawn {
        Drawn {
            issuer: scene.issuer(dice.random()),
            success: std::array::from_fn(|_| dice.random()),
            hang: dice.random(),
            call_s: lognormal(CALLS, dice),
            pay_s: lognormal(PAYING, dice),
            dice: dice.random(),
        }
    }
}

struct Stage<'a> {
    scene: &'a Scene,
    due: BinaryHeap<Reverse<(usize, Later)>>,
    figures: Figures,
    watch: Watch,
    second: [f64; CHANNELS],
    bystanders: f64,
}

fn ticks(seconds: f64) -> usize {
    (seconds * TICKS).ceil() as usize
}

impl Stage<'_> {
    fn tell(&mut self, router: &mut dyn Router, now: usize) {
        while let Some(Reverse((_, later))) = self.due.peek().copied().filter(|d| d.0.0 <= now) {
            self.due.pop();
            match later {
                Later::Answered(channel, issuer, sent, answered, good) => {
                    router.answered(channel, answered, sent, now);
                    if !self.scene.presented || !answered {
                        router.learn_for(issuer, channel, good, sent, now);
                    }
                    if self.scene.presented && answered {
                        router.shown(channel, now);
                    }
                }
                Later::Ended(channel, issuer, shown, paid) => {
                    router.paid(issuer, channel, paid, shown, now);
                }
            }
        }
    }

    fn send(&mut self, channel: usize, drawn: &Drawn, now: usize, minute: f64) {
        let rates = self.scene.rates(drawn.issuer, minute);
        let (hang, slow) = self.scene.calls(channel, drawn.issuer, minute);
        let answered = drawn.hang >= hang && drawn.call_s * slow < TIMEOUT_S;
        let given = if hang < 1.0 { rates[channel] / (1.0 - hang) } else { 0.0 };
        let good = answered && drawn.success[channel] < given;
        let call = ticks(if answered { drawn.call_s * slow } else { TIMEOUT_S });
        let later = Later::Answered(channel, drawn.issuer, now, answered, good);
        self.due.push(Reverse((now + call, later)));
        if self.scene.presented && answered {
            let paid = good && drawn.pay_s < EXPIRY_S;
            let end = now + call + ticks(if paid { drawn.pay_s } else { EXPIRY_S });
            let later = Later::Ended(channel, drawn.issuer, now + call, paid);
            self.due.push(Reverse((end, later)));
        }
        self.count(channel, drawn, &rates, good, now, minute);
    }

    fn count(
        &mut self,
        channel: usize,
        drawn: &Drawn,
        rates: &[f64; CHANNELS],
        good: bool,
        now: usize,
        minute: f64,
    ) {
        self.figures.regret += rates[best(rates)] - rates[channel];
        self.figures.lost += f64::from(u8::from(!good));
        self.second[channel] += 1.0;
        if channel > 0 {
            let worst = &mut self.figures.worst_second;
            *worst = worst.max(self.second[channel]);
        }
        let Some(event) = self.scene.events.first() else { return };
        let (from, until) = event.minutes;
        let hurts = !matches!(event.what, What::Slow(_));
        if event.hits(drawn.issuer, minute) && hurts {
            let began = (from * 60.0 * TICKS) as usize;
            self.watch.see(channel == 0, now - began);
        } else if (from..until).contains(&minute) {
            self.bystanders += 1.0;
            self.figures.moved += f64::from(u8::from(channel != 0));
        }
    }
}

/// Runs a router through a scene; `None` is the oracle.
pub fn play(scene: &Scene, seed: u64, mut router: Option<&mut dyn Router>) -> Figures {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut stage = Stage {
        scene,
        due: BinaryHeap::new(),
        figures: Figures::default(),
        watch: Watch::default(),
        second: [0.0; CHANNELS],
        bystanders: 0.0,
    };
    if let Some(router) = &mut router
        && scene.announced
    {
        let (from, until) = scene.events[0].minutes;
        router.announced(0, ticks(from * 60.0), ticks(until * 60.0));
    }
    // Silence is looked at every 40 ms, and at low rates, where seconds matter less, every 0.2 s.
    let look = if scene.per_second < 20.0 { 10 } else { 2 };
    let mut leader = 0;
    let mut left = 0.0;
    for now in 0..ticks(scene.minutes * 60.0) {
        let minute = now as f64 / (60.0 * TICKS);
        if let Some(router) = &mut router {
            stage.tell(&mut **router, now);
            if now % look == 0 {
                router.tick(now);
            }
        }
        if now % 50 == 0 {
            stage.second = [0.0; CHANNELS];
        }
        left -= scene.flow(minute);
        while left <= 0.0 {
            left -= (1.0 - dice.random::<f64>()).ln();
            let drawn = Drawn::new(scene, &mut dice);
            let channel = match &mut router {
                Some(router) => router.choose_for(drawn.issuer, now, drawn.dice),
                None => best(&scene.rates(drawn.issuer, minute)),
            };
            stage.send(channel, &drawn, now, minute);
            let leads = router.as_mut().map_or(channel, |router| router.leader(now));
            stage.figures.switches += f64::from(u8::from(leads != leader));
            leader = leads;
        }
    }
    let mut figures = stage.figures;
    figures.moved /= stage.bystanders.max(1.0);
    figures.delay = stage.watch.left().map(|(hit, late)| (hit as f64, late as f64 / TICKS));
    figures
}
