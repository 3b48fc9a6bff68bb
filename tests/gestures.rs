//! Real recordings of a hand with a wand, measured by the accelerometer of an emulated board: its program `motion` decides what
//! the host decides, with the same scores, in portions of any size.

use teff::Session;
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, workspace_words};
use teff_app::sensor::Sensor;
use teff_app::sensor::adxl345::{ADDRESS, Adxl345, FIFO_LEN, Setup};
use teff_app::sensor::bus::OnI2c;
use teff_app::sensor::simulated::SimulatedAdxl345;
use teff_board::{Board, Emulator, Firmware, Link, Signal, TIME_LIMIT};
use teff_tests::{AXES, Decided, onnx, plan, root};
use teff_trainer::dataset::{self, Samples, Split};
use teff_trainer::recipe::Recipe;
use teff_trainer::test_data::{find, skip};

/// Counts per g of the emulated chip, and of the recipe.
const CHIP_LSB_PER_G: f64 = 256.0;
const LSB_PER_G: f64 = 100.0;

/// Recordings of people that the model was not trained on, one behind the other, as the chip counts; and how often each
/// class comes.
fn recordings(test: &str) -> Option<(Recipe, Vec<i16>, usize)> {
    let folder = find(test, "data/magic-wand")?;
    let recipe_folder = root().join("models/gesture");
    let recipe = Recipe::read(&recipe_folder.join("recipe.toml")).unwrap();
    let set = dataset::load(&recipe.data, recipe.seed, Some(&folder), &recipe_folder).unwrap();
    let (mut samples, mut count) = (Vec::new(), 0);
    for example in set.examples.iter().filter(|example| example.split == Split::Test) {
        let Samples::I16(of_one) = &example.samples else { panic!("{} is no motion", example.source) };
        let counts =
            of_one.iter().map(|&count| (f64::from(count) * CHIP_LSB_PER_G / LSB_PER_G).round() as i16);
        samples.extend(counts);
        count += 1;
    }
    Some((recipe, samples, count))
}

#[test]
fn the_board_and_the_host_decide_the_same_on_real_gestures() {
    let test = "the_board_and_the_host_decide_the_same_on_real_gestures";
    let Some((recipe, samples, count)) = recordings(test) else { return };
    let rate_hz = recipe.front_end.rate_hz as u32;
    assert_eq!((rate_hz, samples.len() % AXES), (25, 0));
    let here = (1..=4).map(|portion| (portion, on_host(&samples, portion * portion * 2 - 1)));
    let here: Vec<(usize, Decided)> = here.collect();
    let expected = &here[0].1;
    for (portion, decided) in &here {
        assert_eq!(decided, expected, "in portions of {portion}");
    }
    println!("{count} recordings, {} instants: {:?}", samples.len() / AXES, expected.labels());
    for label in ["ring", "slope", "wing"] {
        assert!(expected.labels().iter().any(|found| found == label), "{label} was not found");
    }
    for name in ["mps2-an386", "mps2-an385"] {
        let board = Board::find(name).unwrap();
        if let Err(error) = board.ready() {
            skip(test, &format!("{name}: {error:#}"));
            continue;
        }
        let link = Link::File(onnx("gesture"));
        let program = Firmware { board, program: "motion", link }.build().unwrap();
        let signal = Signal { axes: AXES as u32, rate_millihertz: rate_hz * 1000, samples: samples.clone() };
        let emulator = Emulator::find(board).unwrap();
        let run = emulator.run(&program, Some(&signal.to_job()), TIME_LIMIT).unwrap();
        let said = &run.stdout;
        assert!(run.success, "{name}: {said}");
        assert_eq!(&Decided::of_board(said), expected, "{name}: {said}");
        let all = format!("{} instants, ", samples.len() / AXES);
        assert!(said.contains(&all) && said.contains("0 windows missed, 0 queue overruns"), "{name}: {said}");
    }
}

/// The same chip's driver and pipeline; measurements come in portions of so many instants.
fn on_host(samples: &[i16], portion: usize) -> Decided {
    let file = plan("gesture");
    let mut arena = file.arena();
    let mut workspace = vec![0; workspace_words(file.as_bytes())];
    let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let needs = Needs::read(session.model()).unwrap();
    let rate_millihertz = needs.rate_millihertz;
    let bus = OnI2c::new(SimulatedAdxl345::new(samples), ADDRESS);
    let chip = Adxl345::start(bus, Setup::new(rate_millihertz).unwrap()).ok().unwrap();
    let mut sensor = needs.fit(chip).unwrap();
    let mut pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, sensor.format()).unwrap();
    let (mut read, mut decided) = ([0; AXES * FIFO_LEN], Decided::default());
    loop {
        let chip = sensor.sensor_mut().registers_mut().bus_mut();
        chip.advance(portion);
        let is_over = chip.is_over();
        let instants = sensor.read(&mut read).unwrap();
        for instant in read[..AXES * instants].chunks(AXES) {
            pipeline.push(instant);
            decided.work(&mut pipeline, u64::from(rate_millihertz / 1000), 1000);
        }
        if is_over {
            assert_eq!((pipeline.counts().instants as usize, pipeline.missed()), (samples.len() / AXES, 0));
            return decided;
        }
    }
}
