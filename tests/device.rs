//! The tasks of the real boards on the host: sampling, deciding and the line, fed the recording that the
//! emulated boards replay. What arrives at the other end of the line is what those decide.

use embassy_futures::poll_once;
use teff::Session;
use teff_app::decision::Event;
use teff_app::health::{Limits, Watched};
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, workspace_words};
use teff_app::queue::Queue;
use teff_app::sensor::bus::complete;
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::{AsyncSensor, Format, Sensor};
use teff_device::deciding::Deciding;
use teff_device::outbox::{Outbox, Speaker};
use teff_device::sampling::Sampling;
use teff_link::{Account, MAX_FRAME_BYTES, Message, Received, Receiver};
use teff_tests::{AXES, CHIP, Decided, machine_recording, plan};

/// A recording where an asynchronous sensor is asked for.
struct Asked<'a>(Recorded<'a>);

impl AsyncSensor for Asked<'_> {
    type Error = core::convert::Infallible;

    fn format(&self) -> Format {
        self.0.format()
    }

    async fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error> {
        self.0.read(samples)
    }

    fn gaps(&self) -> u32 {
        self.0.gaps()
    }
}

#[test]
fn what_the_line_brings_is_what_the_emulated_boards_decide() {
    let (file, recording) = (plan("machine"), machine_recording());
    let expected = Decided::of_snapshot("firmware/emulated/programs/motion.out").events;
    assert_eq!(expected.len(), 3);
    for portion in [1, 7, 16, 31] {
        let mut arena = file.arena();
        let mut workspace = vec![0; workspace_words(file.as_bytes())];
        let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
        let needs = Needs::read(session.model()).unwrap();
        let sensor = needs.fit_async(Asked(Recorded::new(CHIP, &recording, portion))).unwrap();
        let format = sensor.format();
        let pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, format).unwrap();
        let mut sensor = Watched::new_async(sensor, Limits::default());
        let mut queue = Queue::<AXES, 64>::new();
        let (mut intake, mut outlet) = queue.split();
        let (sampling, outbox) = (Sampling::new(), Outbox::new());
        let (mut speaker, mut lit) = (Speaker::new(&outbox), 0);
        let lamp = |event: Option<&Event>, _: &str| -> Result<(), ()> {
            lit += usize::from(event.is_some());
            Ok(())
        };
        let mut deciding = Deciding::new(pipeline, teff_device::hello("test", format), lamp);
        while complete(sampling.poll(&mut sensor, &mut intake)) > 0 {
            while deciding.step(&mut outlet, &mut speaker) {}
        }
        let mut line = Vec::new();
        // It waits for more when all is sent.
        assert!(poll_once(outbox.transmit(&mut line)).is_pending());
        let (mut receiver, mut account) = (Receiver::<MAX_FRAME_BYTES>::new(), Account::new());
        let (mut rest, mut decided) = (&line[..], Vec::new());
        while let Some(received) = receiver.next(&mut rest) {
            account.note(&received);
            let Received::Frame(frame) = received else { panic!("{received:?}") };
            if let Message::Decision(decision) = frame.message {
                let milliseconds = decision.instant * 1000 / 1600;
                decided.push((
                    milliseconds,
                    decision.label.to_string(),
                    u64::from(decision.score) * 100 / 256,
                ));
            }
        }
        assert_eq!(decided, expected, "in portions of {portion}");
        assert_eq!((outlet.overruns(), speaker.left_out(), account.missing_frames), (0, 0, 0));
        assert_eq!(lit, expected.len());
    }
}
