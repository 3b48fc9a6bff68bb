//! A simulated accelerometer on a rotating machine: data that needs nothing from outside.
//!
//! A motor turns a shaft in two rolling bearings; a three-axis accelerometer (x across, y up, z along the shaft) sits on
//! a bearing housing: 1,600 samples per second, ±4 g, 512 counts per g, as a common 12-bit sensor has them.
//!
//! A *machine* is an instance: nominal speed (22 to 31 revolutions per second), how stiff its foundation is across and
//! up, number and size of the balls, two resonances of the housing, how the sensor is tilted, its noise, the hum of the
//! motor at 100 Hz, the blades of its fan, a neighbour whose vibration comes through the floor, and what every healthy
//! machine has of imbalance and misalignment. Each is recorded once in each state, at another load and therefore
//! another speed, which drifts slowly around its mean. Splitting by machine (the group of a recording) asks a network
//! for what the states have in common on machines that it has never seen.
//!
//! | state | what is added to a healthy machine |
//! |---|---|
//! | healthy | nothing |
//! | imbalance | a rotating force: the shaft's frequency (1x) across and up, a quarter turn apart, growing with the square of the speed |
//! | misalignment | 2x above all, 1x and 3x across and up; 1x and 2x along the shaft |
//! | bearing fault | short shocks at the rate at which balls pass the defect, `n/2 · (1 ∓ d/D)` times the speed for the outer and inner race, with a slip of 1.5 %, that ring in the housing's resonances and die out; on the inner race they swell and fade with each turn |
//! | looseness | many harmonics (1x to 8x), halves of the speed (0.5x, 1.5x, 2.5x), and a shock in each turn, mostly up and down |
//!
//! How severe a fault is differs from recording to recording over almost a decade, down to what is hardly above a healthy
//! machine's own; knocks from outside occur in every state. So no state is told from the others without error.
//!
//! All is computed in `f64` with the `libm` crate, so that a seed gives the same counts everywhere.

use std::f64::consts::PI;
use std::fmt::Write as _;
use std::path::Path;

use super::recordings::{self, Recording};
use super::{DataSet, Skipped, Split};
use crate::error::{InputError, Result};
use crate::recipe::data::{Data, MachineSettings, RecordingLayout, RecordingSettings, Scale};
use crate::rng::Rng;

/// Samples per second and axis.
pub const RATE_HZ: f64 = 1_600.0;
/// Counts of one g.
pub const LSB_PER_G: f64 = 512.0;
/// The largest count: 12 bits with sign.
const FULL_SCALE: f64 = 2_047.0;
/// The axes, as the files name them.
const AXES: [&str; 3] = ["x", "y", "z"];

/// The states of a machine, as files and labels call them.
pub const STATES: [&str; 5] = ["healthy", "imbalance", "misalignment", "bearing_fault", "looseness"];

/// Loads the set. With a folder given as `--data`, the set is in it as files: written there first where it is not yet.
/// Without one, the same numbers come straight from the simulation.
pub fn load(folder: Option<&Path>, data: &Data, settings: &MachineSettings, seed: u64) -> Result<DataSet> {
    let recording_settings = recording_settings(settings);
    let Some(given) = folder else {
        let recordings = simulate(data, settings);
        return recordings::cut(
            recordings,
            Skipped::default(),
            data,
            &recording_settings,
            seed,
            Path::new("simulated machine"),
        );
    };
    let is_named = given.file_name().is_some_and(|name| *name == *data.path);
    let root = if is_named && !given.join(&data.path).exists() {
        given.to_path_buf()
    } else {
        given.join(&data.path)
    };
    if !root.exists() {
        write(&root, settings)?;
    }
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap_or_default();
    if readme.contains(SIMULATED) && !readme.contains(&settings_line(settings)) {
        return Err(InputError::new(
            &root,
            "was simulated with other `machines`, `seconds` or `seed` than [data] has now",
            "remove the folder, and it is simulated anew",
        ));
    }
    recordings::load(&root, data, &recording_settings, seed)
}

/// How the files are to be read.
pub fn recording_settings(settings: &MachineSettings) -> RecordingSettings {
    RecordingSettings {
        archive: None,
        below: None,
        layout: RecordingLayout::ClassFolders { columns: AXES.map(String::from).to_vec() },
        rate_hz: RATE_HZ as f32,
        axes: AXES.len(),
        scale: Scale {
            unit: "g".into(),
            values_per_unit: LSB_PER_G,
            milli_above: None,
            lsb_per_unit: LSB_PER_G as f32,
            range: None,
        },
        window: settings.window,
    }
}

/// The recordings of the recipe's states, in the order in which the files would be read.
pub fn simulate(data: &Data, settings: &MachineSettings) -> Vec<Recording> {
    let mut recordings = Vec::new();
    each(settings, |state, group, samples| {
        if let Some(label) = data.classes.iter().position(|class| class == state) {
            recordings.push(Recording {
                samples,
                label,
                group: group.to_string(),
                split: Split::Train,
                source: file_name(state, group),
            });
        }
    });
    recordings.sort_by(|a, b| a.source.cmp(&b.source));
    recordings
}

/// Writes the set: `{state}/{machine}_0.csv` with a header, in counts, and a `README.md`.
///
/// The folder gets its name when everything is in it; a run that is interrupted leaves `NAME.partial`.
pub fn write(folder: &Path, settings: &MachineSettings) -> Result<()> {
    let unwritable = |path: &Path, error: std::io::Error| {
        InputError::new(
            path,
            format!("cannot be written: {error}"),
            "pass --data with a folder that can be written to",
        )
    };
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let partial = folder.with_file_name(format!("{name}.partial"));
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(|error| unwritable(&partial, error))?;
    }
    for state in STATES {
        let path = partial.join(state);
        std::fs::create_dir_all(&path).map_err(|error| unwritable(&path, error))?;
    }
    let mut failed = None;
    each(settings, |state, group, samples| {
        let path = partial.join(file_name(state, group));
        let mut text = format!("{}\n", AXES.join(","));
        for sample in samples.as_chunks::<3>().0 {
            let _ = writeln!(text, "{},{},{}", sample[0], sample[1], sample[2]); // A `String` takes everything.
        }
        if let (Err(error), None) = (std::fs::write(&path, text), &failed) {
            failed = Some(unwritable(&path, error));
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let readme = partial.join("README.md");
    std::fs::write(&readme, readme_text(settings)).map_err(|error| unwritable(&readme, error))?;
    std::fs::rename(&partial, folder).map_err(|error| unwritable(folder, error))
}

fn file_name(state: &str, group: &str) -> String {
    format!("{state}/{group}_0.csv")
}

/// `seconds` of the machine that the emulated boards stand on, in one of its states: counts of all axes. Each `take`
/// is another recording: at another load and, of a fault, with another severity.
pub fn another(state: &str, seconds: f64, take: u64) -> Vec<i16> {
    let (group, seed) = (format!("m{ON_THE_BOARDS:03}"), 1);
    let machine = Machine::new(&mut Rng::for_purpose(seed, &format!("machine {group}")));
    let mut rng = Rng::for_purpose(seed, &format!("recording {group} {state} {take}"));
    machine.record(state, (seconds * RATE_HZ) as usize, &mut rng)
}

/// The machine whose recording the emulated boards replay.
pub const ON_THE_BOARDS: usize = 121;

/// The beginning of the README line that tells the settings.
const SIMULATED: &str = "Simulated with";

fn settings_line(settings: &MachineSettings) -> String {
    let MachineSettings { machines, seconds, seed, .. } = settings;
    format!("{SIMULATED} machines = {machines}, seconds = {seconds}, seed = {seed}.")
}

fn readme_text(settings: &MachineSettings) -> String {
    format!(
        "# A simulated accelerometer on rotating machines\n\n{}\n\n\
         - Files: `{{state}}/{{machine}}_0.csv`, header `{}`, one sample a line, in counts of the sensor.\n\
         - Sensor: {RATE_HZ} samples per second and axis, {LSB_PER_G} counts per g, saturating at ±{FULL_SCALE}.\n\
         - States: {}.\n\
         - Each machine is recorded once in each state. Split by machine: windows of one machine are alike.\n\
         - What is simulated stands in the documentation of the module `dataset::machine` of the trainer.\n\
         - Free of rights: the files hold computed numbers only.\n",
        settings_line(settings),
        AXES.join(","),
        STATES.join(", "),
    )
}

/// Simulates every machine in every state.
fn each(settings: &MachineSettings, mut take: impl FnMut(&str, &str, Vec<i16>)) {
    let n_samples = (settings.seconds * RATE_HZ) as usize;
    for n in 0..settings.machines {
        let group = format!("m{n:03}");
        let machine = Machine::new(&mut Rng::for_purpose(settings.seed, &format!("machine {group}")));
        for state in STATES {
            let mut rng = Rng::for_purpose(settings.seed, &format!("recording {group} {state}"));
            take(state, &group, machine.record(state, n_samples, &mut rng));
        }
    }
}

/// Harmonics that are simulated: 1x to 8x.
const HARMONICS: usize = 8;
/// Halves of the speed: 0.5x, 1.5x, 2.5x.
const HALVES: usize = 3;

/// One instance of a machine.
struct Machine {
    speed_hz: f64,
    /// Motion across, up and along for the same force.
    compliance: [f64; 3],
    /// 1x, 2x and 3x of the healthy machine, in g.
    residual: [f64; 3],
    balls: f64,
    /// Ball diameter by pitch diameter, times the cosine of the contact angle.
    ball_ratio: f64,
    modes: [Mode; 2],
    /// Rows are the sensor's axes in those of the machine.
    mounting: [[f64; 3]; 3],
    noise_g: f64,
    hum_g: f64,
    blades: f64,
    blades_g: f64,
    neighbour_hz: f64,
    neighbour_g: f64,
    knocks_per_second: f64,
}

/// A resonance of the housing.
struct Mode {
    hz: f64,
    damping: f64,
    /// How it moves the three axes.
    shape: [f64; 3],
}

/// What a state adds to a recording.
#[derive(Default)]
struct Fault {
    /// 1x to 8x across and up, in g.
    radial: [f64; HARMONICS],
    /// 1x to 8x along the shaft, in g.
    axial: [f64; HARMONICS],
    /// 0.5x, 1.5x and 2.5x, in g.
    halves: [f64; HALVES],
    /// How much more up and down than across.
    upward: f64,
    /// Shocks per turn; 0 is none.
    shocks_per_turn: f64,
    /// Their size, in g.
    shock_g: f64,
    /// Share of a shock's size that swells and fades with each turn.
    modulation: f64,
    /// Irregularity of the shocks, as a share of their distance.
    slip: f64,
}

/// A number between the two, its logarithm evenly spread.
fn log_range(rng: &mut Rng, low: f64, high: f64) -> f64 {
    libm::exp(rng.range(libm::log(low), libm::log(high)))
}

/// A rotation by small angles about the three axes.
fn tilt(rng: &mut Rng, degrees: f64) -> [[f64; 3]; 3] {
    let mut angle = || rng.range(-degrees, degrees) * PI / 180.0;
    let [(sa, ca), (sb, cb), (sc, cc)] = [angle(), angle(), angle()].map(|a| (libm::sin(a), libm::cos(a)));
    [
        [cb * cc, -cb * sc, sb],
        [ca * sc + sa * sb * cc, ca * cc - sa * sb * sc, -sa * cb],
        [sa * sc - ca * sb * cc, sa * cc + ca * sb * sc, ca * cb],
    ]
}

impl Machine {
    fn new(rng: &mut Rng) -> Self {
        let mut mode = |low: f64, high: f64| Mode {
            hz: rng.range(low, high),
            damping: rng.range(0.02, 0.06),
            shape: [rng.range(0.3, 1.0), rng.range(0.3, 1.0), rng.range(0.1, 0.6)],
        };
        let modes = [mode(180.0, 380.0), mode(420.0, 720.0)];
        Self {
            speed_hz: rng.range(22.0, 31.0),
            compliance: [rng.range(0.7, 1.3), rng.range(0.5, 1.1), rng.range(0.6, 1.2)],
            residual: [
                log_range(rng, 0.012, 0.05),
                log_range(rng, 0.005, 0.025),
                log_range(rng, 0.002, 0.012),
            ],
            balls: (7 + rng.below(5)) as f64,
            ball_ratio: rng.range(0.18, 0.30),
            modes,
            mounting: tilt(rng, 10.0),
            noise_g: log_range(rng, 0.006, 0.016),
            hum_g: log_range(rng, 0.003, 0.02),
            blades: (5 + rng.below(4)) as f64,
            blades_g: log_range(rng, 0.003, 0.02),
            neighbour_hz: rng.range(15.0, 60.0),
            neighbour_g: log_range(rng, 0.003, 0.03),
            knocks_per_second: rng.range(0.0, 0.6),
        }
    }

    /// What a state adds, with a severity of its own for each recording.
    fn fault(&self, state: &str, speed_hz: f64, rng: &mut Rng) -> Fault {
        let mut fault = Fault { upward: 1.0, ..Fault::default() };
        match state {
            "imbalance" => {
                let force = speed_hz / 25.0;
                fault.radial[0] = log_range(rng, 0.06, 0.4) * force * force;
            }
            "misalignment" => {
                let severity = log_range(rng, 0.035, 0.25);
                fault.radial[..3].copy_from_slice(&[0.5 * severity, severity, 0.4 * severity]);
                fault.axial[..2].copy_from_slice(&[0.7 * severity, 0.6 * severity]);
            }
            "bearing_fault" => {
                let is_inner = rng.chance(0.4);
                let ratio = if is_inner { 1.0 + self.ball_ratio } else { 1.0 - self.ball_ratio };
                fault.shocks_per_turn = self.balls / 2.0 * ratio;
                fault.shock_g = log_range(rng, 0.08, 0.5);
                fault.modulation = if is_inner { rng.range(0.5, 0.9) } else { rng.range(0.0, 0.25) };
                fault.slip = 0.015;
            }
            "looseness" => {
                let severity = log_range(rng, 0.03, 0.22);
                for (n, harmonic) in fault.radial.iter_mut().enumerate() {
                    *harmonic = severity * rng.range(0.4, 1.3) / libm::sqrt((n + 1) as f64);
                }
                for half in &mut fault.halves {
                    *half = severity * rng.range(0.2, 0.8);
                }
                fault.upward = rng.range(1.2, 2.2);
                fault.shocks_per_turn = 1.0;
                fault.shock_g = severity * rng.range(0.3, 1.0);
                fault.slip = 0.01;
            }
            _ => {} // A healthy machine has its residuals.
        }
        fault
    }

    /// A recording in a state, as interleaved counts.
    fn record(&self, state: &str, n_samples: usize, rng: &mut Rng) -> Vec<i16> {
        let mean_hz = self.speed_hz * rng.range(0.95, 1.05);
        let mut fault = self.fault(state, mean_hz, rng);
        for (harmonic, residual) in fault.radial.iter_mut().zip(self.residual) {
            *harmonic += residual * rng.range(0.7, 1.4);
        }
        fault.axial[0] += 0.3 * self.residual[0];
        fault.axial[1] += 0.3 * self.residual[1];
        let mut phases = || -> [f64; HARMONICS] { std::array::from_fn(|_| rng.range(0.0, 2.0 * PI)) };
        let (radial_phase, axial_phase, half_phase) = (phases(), phases(), phases());
        let [hum_phase, blade_phase, neighbour_phase, ..] = phases();

        let mut ringing = self.modes.each_ref().map(Ringing::new);
        let mut turns = rng.uniform();
        let mut next_shock = turns + rng.uniform();
        let mut drift = 0.0;
        let mut samples = Vec::with_capacity(3 * n_samples);
        for n in 0..n_samples {
            let seconds = n as f64 / RATE_HZ;
            // The speed drifts by 0.4 % around its mean, with a memory of half a second.
            drift += -drift / (0.5 * RATE_HZ) + 0.004 * libm::sqrt(2.0 / (0.5 * RATE_HZ)) * rng.normal();
            turns += mean_hz * (1.0 + drift) / RATE_HZ;
            let angle = 2.0 * PI * turns;

            let mut shock = 0.0;
            if fault.shocks_per_turn > 0.0 && turns >= next_shock {
                let swell = 1.0 + fault.modulation * libm::cos(angle);
                shock += fault.shock_g * swell * (1.0 + 0.2 * rng.normal());
                next_shock = turns + (1.0 + fault.slip * rng.normal()) / fault.shocks_per_turn;
            }
            if rng.chance(self.knocks_per_second / RATE_HZ) {
                shock += log_range(rng, 0.05, 0.4);
            }

            let (mut across, mut up, mut along) = (0.0, 0.0, 0.0);
            for k in 0..HARMONICS {
                let turn = (k + 1) as f64 * angle;
                across += fault.radial[k] * libm::cos(turn + radial_phase[k]);
                up += fault.upward * fault.radial[k] * libm::sin(turn + radial_phase[k]);
                along += fault.axial[k] * libm::cos(turn + axial_phase[k]);
            }
            for (k, (half, phase)) in fault.halves.iter().zip(half_phase).enumerate() {
                let half = half * libm::cos((k as f64 + 0.5) * angle + phase);
                across += half;
                up += fault.upward * half;
            }
            let hum = self.hum_g * libm::cos(2.0 * PI * 100.0 * seconds + hum_phase);
            let blades = self.blades_g * libm::cos(self.blades * angle + blade_phase);
            let neighbour =
                self.neighbour_g * libm::cos(2.0 * PI * self.neighbour_hz * seconds + neighbour_phase);
            let mut motion = [
                self.compliance[0] * across + hum,
                self.compliance[1] * up + neighbour,
                self.compliance[2] * along + blades,
            ];
            for (ringing, mode) in ringing.iter_mut().zip(&self.modes) {
                let swing = ringing.step(shock);
                for (axis, shape) in motion.iter_mut().zip(mode.shape) {
                    *axis += shape * swing;
                }
            }
            motion[1] += 1.0; // Gravity, as a sensor at rest shows it.
            for row in self.mounting {
                let g: f64 = row.iter().zip(motion).map(|(r, m)| r * m).sum();
                let counts = libm::round((g + self.noise_g * rng.normal()) * LSB_PER_G);
                samples.push(counts.clamp(-FULL_SCALE - 1.0, FULL_SCALE) as i16);
            }
        }
        samples
    }
}

/// A resonance as a turning, shrinking vector.
struct Ringing {
    turn: [f64; 2],
    state: [f64; 2],
}

impl Ringing {
    fn new(mode: &Mode) -> Self {
        let angle = 2.0 * PI * mode.hz / RATE_HZ;
        let shrink = libm::exp(-mode.damping * angle);
        Self { turn: [shrink * libm::cos(angle), shrink * libm::sin(angle)], state: [0.0; 2] }
    }

    /// The next sample, a shock being added to its speed.
    fn step(&mut self, shock: f64) -> f64 {
        let [real, imaginary] = self.state;
        let [cos, sin] = self.turn;
        self.state = [real * cos - imaginary * sin, real * sin + imaginary * cos + shock];
        self.state[0]
    }
}
