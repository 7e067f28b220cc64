//! bascule-sim
