//! The portable kernels on RISC-V, without vectors and with words of 32 bits: the bits of the reference and of the host.

use std::fs;
use std::process::Command;

use teff::Session;
use teff_board::{Firmware, Link, RISCV32_USER, Rust, find_program};
use teff_tests::{plan, root};
use teff_trainer::test_data::skip;

/// What a program of the board's folder writes; nothing, and a `SKIPPED` line, where it cannot be built or run.
fn output(test: &str, program: &str, link: Link) -> Option<String> {
    let board = &RISCV32_USER;
    let Some(emulator) = find_program(board.emulator) else {
        skip(test, &format!("{} is not there; run `cargo xtask setup`", board.emulator));
        return None;
    };
    if let Err(error) = Rust::find(board.target) {
        skip(test, &format!("{error:#}"));
        return None;
    }
    let elf = Firmware { board, program, link }.build().unwrap();
    let run = Command::new(emulator).arg(&elf).output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{}\n{text}", run.status);
    Some(text)
}

#[test]
fn kernels_are_the_references() {
    let Some(found) = output("kernels_are_the_references", "kernel_suite", Link::None) else { return };
    let boards = fs::read_to_string(root().join("firmware/emulated/programs/kernel_suite.out")).unwrap();
    assert_eq!(found, boards, "not what the emulated boards write");
}

#[test]
fn an_inference_gives_the_bits_of_the_host() {
    let test = "an_inference_gives_the_bits_of_the_host";
    let Some(found) = output(test, "inference", Link::Default) else { return };
    let file = plan("machine");
    let mut arena = file.arena();
    let mut session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let mut state = 1u32;
    assert_eq!(found.lines().count(), 32);
    for (number, line) in found.lines().enumerate() {
        for element in session.input_mut(0) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *element = (state >> 24) as i8;
        }
        session.invoke();
        let outputs: Vec<i8> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert_eq!(outputs, session.output(0).values, "inference {number}");
    }
}
