//! bascule-stores
