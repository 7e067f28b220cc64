//! bascule-lab
