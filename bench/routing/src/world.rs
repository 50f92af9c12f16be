//! The worlds that routers are put into: true rates of success by channel and time.

use std::f64::consts::TAU;

/// Channels in every world.
pub const CHANNELS: usize = 4;
/// True rates on a good day, in the merchant's order.
pub const BASE: [f64; CHANNELS] = [0.92, 0.91, 0.90, 0.88];
/// Payments a second.
pub const PER_SECOND: usize = 50;
/// Payments sent between a payment and the news of its outcome.
pub const LAG: usize = 75;
/// Payments a minute.
pub const PER_MINUTE: usize = 60 * PER_SECOND;

/// Success is multiplied on a channel for a while.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which channel; `None` is all.
    pub channel: Option<usize>,
    /// What is left of its rate.
    pub factor: f64,
    /// First and last minute.
    pub minutes: (f64, f64),
}

/// A world.
#[derive(Clone, Debug)]
pub struct World {
    /// Its name in tables.
    pub name: String,
    /// Rates on a good day.
    pub base: [f64; CHANNELS],
    /// How long it lasts, minutes.
    pub minutes: usize,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Amplitude of slow drift, and its period in minutes.
    pub drift: Option<(f64, f64)>,
    /// From this minute on, the first channel bears a fifth of the traffic, and over so many
    /// minutes all of it again.
    pub convalescence: Option<(f64, f64)>,
}

impl World {
    fn new(name: &str, minutes: usize) -> World {
        World {
            name: name.to_owned(),
            base: BASE,
            minutes,
            faults: Vec::new(),
            drift: None,
            convalescence: None,
        }
    }

    fn fault(mut self, channel: Option<usize>, factor: f64, minutes: (f64, f64)) -> World {
        self.faults.push(Fault { channel, factor, minutes });
        self
    }

    /// Payments in all.
    pub fn payments(&self) -> usize {
        self.minutes * PER_MINUTE
    }

    /// Payments a second that the first channel bears when a payment is sent.
    pub fn bears(&self, payment: usize) -> f64 {
        let Some((from, minutes)) = self.convalescence else { return f64::INFINITY };
        let minute = payment as f64 / PER_MINUTE as f64;
        if minute < from {
            return f64::INFINITY;
        }
        let well = ((minute - from) / minutes).min(1.0);
        PER_SECOND as f64 * (0.2 + 0.8 * well)
    }

    /// The true rates when a payment is sent.
    pub fn rates(&self, payment: usize) -> [f64; CHANNELS] {
        let minute = payment as f64 / PER_MINUTE as f64;
        let mut rates = self.base;
        for (channel, rate) in rates.iter_mut().enumerate() {
            if let Some((amplitude, period)) = self.drift {
                let phase = channel as f64 / CHANNELS as f64;
                *rate += amplitude * (TAU * (minute / period + phase)).sin();
            }
            for fault in &self.faults {
                let hit = fault.channel.is_none_or(|c| c == channel);
                if hit && (fault.minutes.0..fault.minutes.1).contains(&minute) {
                    *rate *= fault.factor;
                }
            }
            *rate = rate.clamp(0.0, 1.0);
        }
        rates
    }
}

/// A calm hour.
pub fn healthy() -> World {
    World::new("healthy", 60)
}

/// The first channel keeps `factor` of its rate between two minutes.
pub fn brown(name: &str, factor: f64, until: f64, minutes: usize) -> World {
    World::new(name, minutes).fault(Some(0), factor, (10.0, until))
}

/// Ten cycles of `seconds` dead and `seconds` well.
pub fn flap(name: &str, seconds: f64) -> World {
    let half = seconds / 60.0;
    let world = World::new(name, 20 + (20.0 * half).ceil() as usize);
    (0..10).fold(world, |world, cycle| {
        let from = 10.0 + 2.0 * half * f64::from(cycle);
        world.fault(Some(0), 0.0, (from, from + half))
    })
}

/// All rates wander.
pub fn drift(name: &str, amplitude: f64, period: f64) -> World {
    World { drift: Some((amplitude, period)), ..World::new(name, 60) }
}

/// Everything fails at once.
pub fn all_down(name: &str, factor: f64) -> World {
    World::new(name, 25).fault(None, factor, (10.0, 15.0))
}

/// The first channel dies, and then the second falters.
pub fn cascade(name: &str, second: f64) -> World {
    World::new(name, 33).fault(Some(0), 0.0, (10.0, 20.0)).fault(Some(1), second, (13.0, 23.0))
}

/// Dead from minute 10 to 20, and then able to bear a fifth at first.
pub fn convalescent() -> World {
    let world = brown("recovery at 20 % capacity", 0.0, 20.0, 35);
    World { convalescence: Some((20.0, 5.0)), ..world }
}

/// The nine worlds of the reference.
pub fn nine() -> Vec<World> {
    vec![
        healthy(),
        brown("down", 0.0, 20.0, 30),
        brown("brown60", 0.4, 20.0, 30),
        brown("brown30", 0.7, 20.0, 30),
        brown("brown10", 0.9, 40.0, 50),
        flap("flap", 30.0),
        cascade("cascade", 0.3),
        all_down("all_down", 0.05),
        drift("drift", 0.06, 20.0),
    ]
}

/// The same kinds with other magnitudes, which nothing was tuned on.
pub fn held_out() -> Vec<World> {
    let mut bases = healthy();
    bases.name = "healthy .75-.80".to_owned();
    bases.base = [0.80, 0.785, 0.77, 0.75];
    let mut shuffled = healthy();
    shuffled.name = "healthy, worst first".to_owned();
    shuffled.base = [0.88, 0.90, 0.91, 0.92];
    vec![
        bases,
        shuffled,
        brown("brown80", 0.2, 20.0, 30),
        brown("brown50", 0.5, 20.0, 30),
        brown("brown20", 0.8, 20.0, 30),
        brown("brown07, 30 min", 0.93, 40.0, 50),
        flap("flap 20 s", 20.0),
        flap("flap 90 s", 90.0),
        cascade("cascade .6", 0.6),
        all_down("all down .3", 0.3),
        drift("drift 3 points, 20 min", 0.03, 20.0),
        drift("drift 6 points, 40 min", 0.06, 40.0),
        drift("drift 8 points, 12 min", 0.08, 12.0),
    ]
}
