use super::*;

const THRESHOLDS: Thresholds = Thresholds {
    healthy: NonZeroU32::new(2).expect("above 0"),
    unhealthy: NonZeroU32::new(3).expect("above 0"),
};

fn rules() -> Ejection {
    Ejection { failures: NonZeroU32::new(3), ..Ejection::default() }
}

/// What happens to an endpoint.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Failed(u32),
    /// As often, in a pool that can do without no more endpoints.
    FailedAlone(u32),
    Answered,
    Passed(u32),
    ProbeFailed(u32),
    Seconds(u64),
    Duty(Duty),
    Unprobed,
}

/// A story: what happens, and what is said of the endpoint after each part of it.
fn tell(story: &[(Seen, Verdict)]) -> (Health, Instant) {
    let mut now = crate::ambient::Ambient::system().instant();
    let mut health = Health::default();
    for (part, (seen, verdict)) in story.iter().enumerate() {
        match *seen {
            Seen::Failed(times) => (0..times).for_each(|_| health.request_failed(&rules(), now, || true)),
            Seen::FailedAlone(times) => {
                (0..times).for_each(|_| health.request_failed(&rules(), now, || false))
            }
            Seen::Answered => health.request_answered(now),
            Seen::Passed(times) => (0..times).for_each(|_| health.probe_passed(THRESHOLDS, now)),
            Seen::ProbeFailed(times) => (0..times).for_each(|_| health.probe_failed(THRESHOLDS)),
            Seen::Seconds(seconds) => {
                now += Duration::from_secs(seconds);
                health.pass(now);
            }
            Seen::Duty(duty) => health.set_duty(duty, now),
            Seen::Unprobed => health.unprobed(now),
        }
        assert_eq!(health.verdict(), *verdict, "part {part} of {story:?}");
    }
    (health, now)
}

#[test]
fn requests_and_probes_make_the_verdict() {
    use Seen::{Answered, Failed, FailedAlone, Passed, ProbeFailed, Seconds, Unprobed};
    use Verdict::{Ejected, Probation, Ready};
    let stories: &[&[(Seen, Verdict)]] = &[
        // Only failures in a row count.
        &[(Failed(2), Ready), (Answered, Ready), (Failed(2), Ready), (Failed(1), Ejected)],
        // One trial, and it is back.
        &[(Failed(3), Ejected), (Seconds(29), Ejected), (Seconds(1), Probation), (Answered, Ready)],
        // Each failed trial doubles the time, up to ten times the base.
        &[
            (Failed(3), Ejected),
            (Seconds(30), Probation),
            (Failed(1), Ejected),
            (Seconds(59), Ejected),
            (Seconds(1), Probation),
            (Failed(1), Ejected),
            (Seconds(120), Probation),
            (Failed(1), Ejected),
            (Seconds(240), Probation),
            (Failed(1), Ejected),
            (Seconds(299), Ejected),
            (Seconds(1), Probation),
        ],
        // One that fails again soon is away for longer, and one that has served for long is forgiven.
        &[
            (Failed(3), Ejected),
            (Seconds(30), Probation),
            (Answered, Ready),
            (Seconds(100), Ready),
            (Failed(3), Ejected),
            (Seconds(59), Ejected),
            (Seconds(1), Probation),
            (Answered, Ready),
            (Seconds(300), Ready),
            (Failed(3), Ejected),
            (Seconds(30), Probation),
        ],
        // In a pool that can do without no more it stays, and goes as soon as there is room.
        &[(FailedAlone(50), Ready), (Failed(1), Ejected)],
        // Whoever is asked because nobody else is left, and answers, is back at once.
        &[(Failed(3), Ejected), (Answered, Ready)],
        // Probes eject, and only probes bring back what they ejected.
        &[
            (ProbeFailed(2), Ready),
            (Passed(1), Ready),
            (ProbeFailed(3), Ejected),
            (Answered, Ejected),
            (Failed(9), Ejected),
            (Seconds(9_999), Ejected),
            (Passed(1), Ejected),
            (ProbeFailed(1), Ejected),
            (Passed(1), Ejected),
            (Passed(1), Ready),
        ],
        // Probes do not shorten what requests have said, and one that passes is a trial.
        &[(Failed(3), Ejected), (Passed(9), Ejected), (Seconds(30), Probation), (Passed(1), Ready)],
        // They lengthen it.
        &[(Failed(3), Ejected), (ProbeFailed(3), Ejected), (Seconds(30), Ejected), (Passed(2), Ready)],
        // Who is not probed any more is not held by what probes have said.
        &[(ProbeFailed(3), Ejected), (Unprobed, Ready)],
        &[(Failed(3), Ejected), (Unprobed, Ejected)],
    ];
    for story in stories {
        tell(story);
    }
}

#[test]
fn an_operators_word_stands_above_every_verdict() {
    use Verdict::{Ejected, Ready};
    for (story, fitness) in [
        (
            &[(Seen::Duty(Duty::Disabled), Ready), (Seen::Passed(9), Ready), (Seen::Answered, Ready)][..],
            Fitness::Barred,
        ),
        (&[(Seen::Duty(Duty::Draining), Ready), (Seen::Answered, Ready)], Fitness::Draining),
        (&[(Seen::Duty(Duty::Draining), Ready), (Seen::Failed(3), Ejected)], Fitness::Reserve),
        (&[(Seen::Failed(3), Ejected), (Seen::Duty(Duty::Disabled), Ejected)], Fitness::Barred),
        (&[(Seen::Duty(Duty::Enabled), Ready)], Fitness::Full),
        (
            &[(Seen::Duty(Duty::Disabled), Ready), (Seen::Duty(Duty::Enabled), Ready)],
            Fitness::Growing(1 << 12),
        ),
    ] {
        let (health, now) = tell(story);
        assert_eq!(health.fitness(now), fitness, "{story:?}");
    }
}

#[test]
fn what_came_back_grows_from_a_sixteenth_to_the_whole() {
    let (health, now) = tell(&[(Seen::ProbeFailed(3), Verdict::Ejected), (Seen::Passed(2), Verdict::Ready)]);
    for (seconds, fitness) in
        [(0, Fitness::Growing(4096)), (5, Fitness::Growing(34_816)), (10, Fitness::Full), (99, Fitness::Full)]
    {
        let later = now + Duration::from_secs(seconds);
        assert_eq!(
            (health.fitness(later), health.moves(later)),
            (fitness, seconds < 10),
            "after {seconds} s"
        );
    }
}

#[test]
fn a_trial_is_offered_to_requests_only_where_nobody_probes() {
    let on_probation = [(Seen::Failed(3), Verdict::Ejected), (Seen::Seconds(30), Verdict::Probation)];
    let (health, now) = tell(&on_probation);
    assert_eq!((health.fitness(now), health.heeds_answers()), (Fitness::Trial, true));
    let (mut health, now) = tell(&on_probation[..1]);
    health.probe_passed(THRESHOLDS, now);
    health.pass(now + Duration::from_secs(30));
    assert_eq!((health.verdict(), health.fitness(now)), (Verdict::Probation, Fitness::Reserve));
}

#[test]
fn a_pool_keeps_enough_of_its_endpoints() {
    let room = |parts: u32, endpoints: usize| {
        let share = Share::from_parts(parts).expect("within the whole");
        Ejection { max_ejected: share, ..rules() }.room(endpoints)
    };
    for (parts, endpoints, most) in [
        (50_000, 1, 1),
        (50_000, 2, 1),
        (50_000, 3, 1),
        (50_000, 1000, 500),
        (10_000, 5, 1),
        (100_000, 5, 5),
        (0, 5, 0),
    ] {
        assert_eq!(room(parts, endpoints), most, "{parts} of {endpoints}");
    }
    let off = Ejection { failures: None, ..rules() };
    let (mut health, now) = tell(&[]);
    (0..100).for_each(|_| health.request_failed(&off, now, || true));
    assert_eq!(health, Health::default());
}
