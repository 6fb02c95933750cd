//! (skeleton) Rules: verdicts of rows, run in window-end order (R7).
