//! bascule-drill
