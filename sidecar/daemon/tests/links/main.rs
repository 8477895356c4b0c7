//! Real daemons on machines of their own, joined by links that are slow, lossy and cut: what loopback cannot show.
//!
//! Each test makes a small net of network namespaces (`net`), runs a daemon on each node, and changes the links while
//! everything runs. Programs that must run on a node besides the daemon (a relay, a talkative engine) are this binary
//! again, in a role (`roles`).
//!
//! * `members`: knocks, removals, partitions and long absences over real links
//! * `paths`: through a relay, straight, and from one to the other
//! * `doctor`: what it says of links that are well, relayed and cut
//! * `nearby`: found by multicast
//! * `switching`: from one network to another under load
//! * `survive`: answers that are read on after a cut
//! * `heal`: sleep, new addresses, frozen and killed peers, cuts, loss
//!
//! `measure` as the first argument prints a table instead of testing anything.
//!
//! Making a net takes root, Linux and TUN devices. Where one is missing the tests say so and count as ignored; on a build
//! server that runs them as root they fail instead, for there somebody counts on them.

#[cfg(target_os = "linux")]
mod compare;
#[cfg(target_os = "linux")]
mod doctor;
#[cfg(target_os = "linux")]
#[path = "../it/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other binary uses the rest")]
mod harness;
#[cfg(target_os = "linux")]
mod heal;
#[cfg(target_os = "linux")]
#[path = "../../benches/parts/load.rs"]
mod load;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod members;
#[cfg(target_os = "linux")]
mod nearby;
#[cfg(target_os = "linux")]
mod net;
#[cfg(target_os = "linux")]
mod paths;
#[cfg(target_os = "linux")]
mod roles;
#[cfg(target_os = "linux")]
#[path = "../../benches/parts/stats.rs"]
mod stats;
#[cfg(target_os = "linux")]
mod steps;
#[cfg(target_os = "linux")]
mod survive;
#[cfg(target_os = "linux")]
mod switching;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if let Some(code) = roles::play(std::env::args().skip(1)) {
        return code;
    }
    let arguments = libtest_mimic::Arguments::from_args();
    let missing = net::missing();
    let root = rustix::process::geteuid().is_root();
    let ignored = missing.is_some() && !(root && std::env::var_os("CI").is_some());
    if let Some(why) = &missing {
        eprintln!("skipped: {why}, so nothing is tested over emulated links here.");
    }
    let trials = trials().into_iter().map(|trial| trial.with_ignored_flag(ignored)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The tests, by module.
#[cfg(target_os = "linux")]
macro_rules! tests {
    ($($module:ident: $($test:ident)*;)*) => {
        vec![$($(libtest_mimic::Trial::test(
            concat!(stringify!($module), "::", stringify!($test)),
            || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on($module::$test());
                Ok(())
            },
        ),)*)*]
    };
}

#[cfg(target_os = "linux")]
fn trials() -> Vec<libtest_mimic::Trial> {
    tests! {
        doctor:
            the_doctor_finds_where_a_link_breaks
            the_doctor_misses_multicast;
        survive:
            an_answer_is_read_on_after_a_cut
            a_hundred_answers_live_through_a_flap;
        heal:
            a_frozen_device_shows_as_away_and_comes_back
            a_killed_device_shows_as_away
            an_answer_of_a_frozen_device_says_that_it_waits
            a_new_address_is_followed
            a_device_that_starts_without_a_network_finds_it_later
            a_short_cut_heals_by_itself
            an_answer_streams_over_a_bad_link;
        members:
            the_delay_of_a_link_is_what_devices_tell
            every_member_sees_a_knock_and_who_answered_it
            a_removal_bites_on_every_member_within_a_second
            a_removal_reaches_a_member_that_was_cut_off
            news_takes_the_way_through_the_one_between
            a_partition_heals_to_one_truth
            a_device_that_was_away_for_long_ends_equal;
        nearby:
            an_announced_network_is_joined_without_an_invite
            members_find_each_other_at_new_addresses;
        paths:
            a_relay_carries_until_there_is_a_straight_path
            a_relay_of_the_network_is_used_by_its_members;
        switching:
            a_hundred_switches_leave_nothing_behind;
    }
}
