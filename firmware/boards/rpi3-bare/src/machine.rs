//! The BCM2837 as this program uses it: the start of the first core, the memory map, interrupts, and the
//! serial line on the pins 14 and 15.
//!
//! The Pi's firmware starts the image at EL2 on all four cores with memory management off. The first core
//! goes to EL1 and switches translation and caches on; the others sleep.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::ptr::{self, NonNull};

use arm_pl011_uart::{DataBits, FifoLevel, Interrupts, LineConfig, PL011Registers, Parity, StopBits, Uart};
use safe_mmio::UniqueMmioPointer;

/// Bits per second on the line.
pub const BAUD: u32 = 921_600;
/// What `init_uart_clock` of config.txt says, in hertz.
const UART_CLOCK: u32 = 48_000_000;

const GPIO: usize = 0x3f20_0000;
const FUNCTION_SELECT_1: usize = GPIO + 0x04;
const PULL: usize = GPIO + 0x94;
const PULL_CLOCK: usize = GPIO + 0x98;
const UART: usize = 0x3f20_1000;
/// Interrupts 32 to 63 are enabled here, one bit each.
const ENABLE_INTERRUPTS_2: usize = 0x3f00_b214;
/// Interrupt 57.
const UART_INTERRUPT: u32 = 1 << 25;

global_asm!(
    r#"
.section .text.boot, "ax"
.global _start
_start:
    mrs     x1, mpidr_el1
    ands    x1, x1, #3
    b.eq    2f
1:  wfe
    b       1b

2:  mrs     x0, CurrentEL
    cmp     x0, #8
    b.lo    5f
    b.eq    4f
    // EL3, as emulators start an ELF file: to a non-secure EL2 of 64 bits.
    mov     x0, #0x5b1
    msr     scr_el3, x0
    msr     cptr_el3, xzr
    mov     x0, #0x3c9
    msr     spsr_el3, x0
    adr     x0, 4f
    msr     elr_el3, x0
    eret
4:  // EL2: to an EL1 of 64 bits that may use timers, floating point and vectors.
    mov     x0, #0x80000000
    msr     hcr_el2, x0
    mov     x0, #0x33ff
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    mrs     x0, cnthctl_el2
    orr     x0, x0, #3
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x3c5
    msr     spsr_el2, x0
    adr     x0, 5f
    msr     elr_el2, x0
    // Translation and caches off, low byte first.
    ldr     x0, =0x30d00800
    msr     sctlr_el1, x0
    eret
5:  mov     x0, #0x300000
    msr     cpacr_el1, x0
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el1, x0
    adrp    x0, __stack_top
    add     x0, x0, :lo12:__stack_top
    mov     sp, x0
    adrp    x0, __bss_start
    add     x0, x0, :lo12:__bss_start
    adrp    x1, __bss_end
    add     x1, x1, :lo12:__bss_end
6:  cmp     x0, x1
    b.hs    7f
    stp     xzr, xzr, [x0], #16
    b       6b
7:  // Attribute 0 is memory, written back; attribute 1 a device.
    mov     x0, #0xff
    msr     mair_el1, x0
    // 30 bits of address, pages of 4 KB, tables cached and shareable; no second half.
    ldr     x0, =0x00803522
    msr     tcr_el1, x0
    adrp    x0, {table}
    add     x0, x0, :lo12:{table}
    msr     ttbr0_el1, x0
    tlbi    vmalle1
    ic      iallu
    dsb     sy
    isb
    mrs     x0, sctlr_el1
    mov     x1, #0x1005
    orr     x0, x0, x1
    msr     sctlr_el1, x0
    isb
    bl      {main}
8:  wfe
    b       8b
    .ltorg

.macro to_fault number
    .balign 0x80
    mov     x0, #\number
    b       fault
.endm

.section .text, "ax"
.balign 0x800
vectors:
    to_fault 0
    to_fault 1
    to_fault 2
    to_fault 3
    to_fault 4
    .balign 0x80
    b       interrupt
    to_fault 6
    to_fault 7
    to_fault 8
    to_fault 9
    to_fault 10
    to_fault 11
    to_fault 12
    to_fault 13
    to_fault 14
    to_fault 15

fault:
    mrs     x1, esr_el1
    mrs     x2, elr_el1
    mrs     x3, far_el1
    bl      {fault}
9:  wfe
    b       9b

// What a called function may change, and where to return to.
interrupt:
    sub     sp, sp, #704
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x29, [sp, #144]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x30, x0, [sp, #160]
    mrs     x2, fpsr
    mrs     x3, fpcr
    stp     x1, x2, [sp, #176]
    add     x0, sp, #192
    stp     q0, q1, [x0]
    stp     q2, q3, [x0, #32]
    stp     q4, q5, [x0, #64]
    stp     q6, q7, [x0, #96]
    stp     q8, q9, [x0, #128]
    stp     q10, q11, [x0, #160]
    stp     q12, q13, [x0, #192]
    stp     q14, q15, [x0, #224]
    stp     q16, q17, [x0, #256]
    stp     q18, q19, [x0, #288]
    stp     q20, q21, [x0, #320]
    stp     q22, q23, [x0, #352]
    stp     q24, q25, [x0, #384]
    stp     q26, q27, [x0, #416]
    stp     q28, q29, [x0, #448]
    stp     q30, q31, [x0, #480]
    bl      {interrupt}
    add     x0, sp, #192
    ldp     q0, q1, [x0]
    ldp     q2, q3, [x0, #32]
    ldp     q4, q5, [x0, #64]
    ldp     q6, q7, [x0, #96]
    ldp     q8, q9, [x0, #128]
    ldp     q10, q11, [x0, #160]
    ldp     q12, q13, [x0, #192]
    ldp     q14, q15, [x0, #224]
    ldp     q16, q17, [x0, #256]
    ldp     q18, q19, [x0, #288]
    ldp     q20, q21, [x0, #320]
    ldp     q22, q23, [x0, #352]
    ldp     q24, q25, [x0, #384]
    ldp     q26, q27, [x0, #416]
    ldp     q28, q29, [x0, #448]
    ldp     q30, q31, [x0, #480]
    ldp     x1, x2, [sp, #176]
    msr     fpsr, x2
    msr     spsr_el1, x1
    ldp     x30, x0, [sp, #160]
    msr     elr_el1, x0
    ldp     x18, x29, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp]
    add     sp, sp, #704
    eret
"#,
    table = sym TABLE,
    main = sym crate::main,
    fault = sym fault,
    interrupt = sym crate::interrupt,
);

/// Blocks of 2 MB, one for each of the first 512: memory, nothing, or devices, each at its own address.
#[repr(C, align(4096))]
struct Table([u64; 512]);

static TABLE: Table = Table(blocks());

const BLOCK: u64 = 2 << 20;
/// What the program may use; there is more, of which the graphics processor has the end.
const MEMORY: u64 = 256 << 20;
const DEVICES: u64 = 0x3f00_0000;

const fn blocks() -> [u64; 512] {
    const VALID_BLOCK: u64 = 1;
    const USED: u64 = 1 << 10;
    const SHARED: u64 = 3 << 8;
    const DEVICE: u64 = 1 << 2;
    const NOT_EXECUTED: u64 = 3 << 53;
    let mut table = [0; 512];
    let mut at = 0;
    while at < 512 {
        let address = at as u64 * BLOCK;
        table[at] = if address < MEMORY {
            address | VALID_BLOCK | USED | SHARED
        } else if address >= DEVICES {
            address | VALID_BLOCK | USED | DEVICE | NOT_EXECUTED
        } else {
            0
        };
        at += 1;
    }
    table
}

fn write(register: usize, value: u32) {
    // SAFETY: all callers are in this file and name registers of the chip, which are mapped as devices.
    unsafe { ptr::with_exposed_provenance_mut::<u32>(register).write_volatile(value) }
}

fn read(register: usize) -> u32 {
    // SAFETY: all callers are in this file and name registers of the chip, which are mapped as devices.
    unsafe { ptr::with_exposed_provenance::<u32>(register).read_volatile() }
}

/// The registers of the serial line.
///
/// # Safety
/// Nobody else may use them while this is used.
unsafe fn uart() -> Uart<'static> {
    let registers = NonNull::with_exposed_provenance(const { core::num::NonZero::new(UART).unwrap() });
    // SAFETY: they are there, are mapped as a device, and by the caller's promise are nobody else's.
    let registers: UniqueMmioPointer<'static, PL011Registers> = unsafe { UniqueMmioPointer::new(registers) };
    Uart::new(registers)
}

/// Opens the serial line, with an interrupt for what comes. Once: a second call gives `None`.
pub fn open_line() -> Option<Uart<'static>> {
    static OPENED: critical_section::Mutex<core::cell::Cell<bool>> =
        critical_section::Mutex::new(core::cell::Cell::new(false));
    if critical_section::with(|token| OPENED.borrow(token).replace(true)) {
        return None;
    }
    // The pins 14 and 15 carry function 0, and nothing pulls at them.
    let others = read(FUNCTION_SELECT_1) & !(0o77 << 12);
    write(FUNCTION_SELECT_1, others | (0o44 << 12));
    write(PULL, 0);
    settle();
    write(PULL_CLOCK, 3 << 14);
    settle();
    write(PULL_CLOCK, 0);
    // SAFETY: only the first call comes here, and a fault uses the line only when nothing else goes on.
    let mut line = unsafe { uart() };
    let config = LineConfig { data_bits: DataBits::Bits8, parity: Parity::None, stop_bits: StopBits::One };
    line.enable(config, BAUD, UART_CLOCK).ok()?;
    // Half of what the line keeps, 16 bytes on this chip.
    line.set_interrupt_fifo_levels(FifoLevel::Bytes16, FifoLevel::Bytes16);
    line.set_interrupt_masks(Interrupts::RXI | Interrupts::RTI);
    write(ENABLE_INTERRUPTS_2, UART_INTERRUPT);
    // SAFETY: interrupts are taken from now on; their handler needs nothing that is not set up.
    unsafe { asm!("msr daifclr, #2", options(nomem, nostack)) }
    Some(line)
}

/// 150 cycles and more, which the pins need.
fn settle() {
    for _ in 0..500 {
        core::hint::spin_loop();
    }
}

/// Sleeps until an interrupt, or for ever where none comes.
pub fn wait() {
    // SAFETY: the instruction only waits.
    unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) }
}

/// Interrupts off, and back to what they were.
struct NoInterrupts;

critical_section::set_impl!(NoInterrupts);

// SAFETY: one core runs, so that nothing else goes on while interrupts are off; nested sections give back
// what the outer one found.
unsafe impl critical_section::Impl for NoInterrupts {
    unsafe fn acquire() -> bool {
        let before: u64;
        // SAFETY: reads and sets the mask of interrupts; memory is not moved across it.
        unsafe { asm!("mrs {}, daif", "msr daifset, #2", out(reg) before, options(nostack, preserves_flags)) }
        before & (1 << 7) == 0
    }

    unsafe fn release(were_on: bool) {
        if were_on {
            // SAFETY: they were on before the section.
            unsafe { asm!("msr daifclr, #2", options(nostack, preserves_flags)) }
        }
    }
}

/// The line for a last word: nothing else goes on.
fn last_words(text: core::fmt::Arguments<'_>) -> ! {
    use core::fmt::Write;
    // SAFETY: sets the mask of interrupts, so that nothing else runs from now on.
    unsafe { asm!("msr daifset, #15", options(nostack, preserves_flags)) }
    // SAFETY: nothing else runs that could use it.
    let mut line = unsafe { uart() };
    // There is nobody else to tell.
    let _ = writeln!(line, "{text}");
    loop {
        wait();
    }
}

/// An exception that none should be: what, why, where, and at which address.
extern "C" fn fault(vector: u64, syndrome: u64, at: u64, address: u64) -> ! {
    last_words(format_args!(
        "error: exception {vector}, syndrome {syndrome:#x}, at {at:#x}, address {address:#x}; reset the board"
    ))
}

#[panic_handler]
fn panic(why: &core::panic::PanicInfo<'_>) -> ! {
    last_words(format_args!("error: {why}; reset the board"))
}
