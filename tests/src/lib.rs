//! Tests of the whole system: one file per subject beside `src`; what several of them need stands here.
