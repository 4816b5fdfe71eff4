//! Arrows and forbidden words: the house as its drawing says.
