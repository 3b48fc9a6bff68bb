//! What events set off: a callback, a pin.

use embedded_hal::digital::OutputPin;

use crate::decision::Event;

/// Something that events set off. Closures are such.
pub trait Output {
    /// Why it could not be done.
    type Error;

    /// An inference ended, with an event or without. `label` is the event's.
    ///
    /// # Errors
    /// When it could not be done.
    fn inferred(&mut self, event: Option<&Event>, label: &str) -> Result<(), Self::Error>;
}

impl<E, F: FnMut(Option<&Event>, &str) -> Result<(), E>> Output for F {
    type Error = E;

    fn inferred(&mut self, event: Option<&Event>, label: &str) -> Result<(), E> {
        self(event, label)
    }
}

/// Two outputs; the second one is told even where the first one fails.
impl<A: Output, B: Output<Error = A::Error>> Output for (A, B) {
    type Error = A::Error;

    fn inferred(&mut self, event: Option<&Event>, label: &str) -> Result<(), A::Error> {
        let first = self.0.inferred(event, label);
        self.1.inferred(event, label)?;
        first
    }
}

/// A pin that is high for some inferences from an event on: a light, a relay.
#[derive(Debug)]
pub struct Pulse<P> {
    pin: P,
    /// The class whose events count; all where there is none.
    class: Option<usize>,
    lasts: u32,
    left: u32,
}

impl<P: OutputPin> Pulse<P> {
    /// High for `lasts` inferences, at least one, from an event of `class` on, or of any class. The pin
    /// is low from now on.
    ///
    /// # Errors
    /// When the pin reports one.
    pub fn new(mut pin: P, class: Option<usize>, lasts: u32) -> Result<Self, P::Error> {
        pin.set_low()?;
        Ok(Pulse { pin, class, lasts: lasts.max(1), left: 0 })
    }

    /// The pin.
    pub fn pin_mut(&mut self) -> &mut P {
        &mut self.pin
    }
}

impl<P: OutputPin> Output for Pulse<P> {
    type Error = P::Error;

    fn inferred(&mut self, event: Option<&Event>, _: &str) -> Result<(), P::Error> {
        if event.is_some_and(|event| self.class.is_none_or(|class| class == event.class)) {
            self.pin.set_high()?;
            self.left = self.lasts;
            return Ok(());
        }
        if self.left > 0 {
            if self.left == 1 {
                self.pin.set_low()?;
            }
            self.left -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use embedded_hal::digital::ErrorType;
    use std::string::{String, ToString};
    use std::vec::Vec;

    struct Pin(bool);

    impl ErrorType for Pin {
        type Error = Infallible;
    }

    impl OutputPin for Pin {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.0 = false;
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.0 = true;
            Ok(())
        }
    }

    fn event(class: usize) -> Event {
        Event { class, score: 200, inference: 0 }
    }

    #[test]
    fn a_pin_is_high_for_a_while() {
        let mut output = Pulse::new(Pin(true), Some(1), 3).unwrap();
        let mut levels = Vec::new();
        for event in
            [None, Some(event(0)), Some(event(1)), None, None, None, Some(event(1)), Some(event(1)), None]
        {
            output.inferred(event.as_ref(), "").unwrap();
            levels.push(u8::from(output.pin_mut().0));
        }
        assert_eq!(levels, [0, 0, 1, 1, 1, 0, 1, 1, 1]);
    }

    #[test]
    fn two_outputs_are_both_told() {
        let mut told: Vec<String> = Vec::new();
        let failing = |_: Option<&Event>, _: &str| Err("no light");
        let callback = |event: Option<&Event>, label: &str| {
            if event.is_some() {
                told.push(label.to_string());
            }
            Ok(())
        };
        let mut both = (failing, callback);
        assert_eq!(both.inferred(Some(&event(2)), "yes"), Err("no light"));
        assert_eq!(both.inferred(None, ""), Err("no light"));
        assert_eq!(told, ["yes"]);
    }
}
