//! Conversations with a desk, one a file. Each can be read from top to bottom, as the people in it would have lived it:
//! what arrives, and every letter that goes out for it, as its reader sees it.
//!
//! A changed letter shows here as a changed text. When the change is meant, `cargo insta review` takes it over.

mod calendar;
mod certificates;
mod clocks;
mod corners_of_answers;
mod corners_of_threads;
mod desk_by_mail;
mod desk_corners;
mod desk_letters;
mod embargo;
mod encrypted_report;
mod follow_up;
mod hostile_mail;
mod joining;
mod leak;
mod letters;
mod letters_of_the_list;
mod letters_that_wait;
mod looked_up;
mod loops;
mod machines;
mod members;
mod own_lists;
mod plain_report;
mod poisoned;
pub mod replies;
mod returned;
mod second_look;
mod silence;
mod sorting;
mod status;
mod threads;
mod trust;
mod unanswered;
