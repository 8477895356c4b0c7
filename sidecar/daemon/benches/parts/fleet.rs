//! Daemons that are members of one network, each watched over the control socket as the app watches it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::future::try_join_all;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::{ControlClient, connect};
use myownmesh_control::home::Home;
use myownmesh_control::types::{DeviceState, InviteOptions, JoinEvent, NetworkKind};
use tokio::sync::watch;

use crate::daemon::{Daemon, PATIENCE};
use crate::machine::cpu_seconds;

/// A state that no event announces is looked at this often. Rarely: the app would not see it sooner either, and twenty
/// daemons that are asked all the time are not idle.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A daemon, the line to it, and how many events came over it.
pub(crate) struct Member {
    pub(crate) daemon: Daemon,
    pub(crate) client: Arc<ControlClient>,
    events: watch::Receiver<u64>,
}

impl Member {
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let daemon = Daemon::start(name).await?;
        let (client, events) = watch_events(&daemon).await?;
        Ok(Self { daemon, client, events })
    }

    /// Ends the daemon in order; [`Member::start_again`] goes on with its home.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.daemon.stop().await
    }

    /// Starts the daemon of the same home again; returns when its process was started.
    pub(crate) async fn start_again(&mut self) -> Result<Instant> {
        let started = Instant::now();
        self.daemon.start_again().await?;
        (self.client, self.events) = watch_events(&self.daemon).await?;
        Ok(started)
    }

    pub(crate) fn id(&self) -> Result<&str> {
        self.daemon.ready["device_id"].as_str().context("the daemon has no id")
    }

    /// Asks `question` now and after every event, until it has an answer; returns it, and when it came.
    pub(crate) async fn when<T>(
        &self,
        what: &str,
        mut question: impl AsyncFnMut(&ControlClient) -> Result<Option<T>>,
    ) -> Result<(Instant, T)> {
        let mut events = self.events.clone();
        let asking = async {
            loop {
                events.mark_unchanged();
                if let Some(answer) = question(&self.client).await? {
                    return Ok((Instant::now(), answer));
                }
                // The time-out is the second way on, not an error.
                let _ = tokio::time::timeout(LOOK_AGAIN, events.changed()).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.map_err(|_| anyhow!("waited {PATIENCE:?} in vain until {what}"))?
    }

    /// Waits until `count` other members of the active network are connected.
    pub(crate) async fn connected_to(&self, count: usize) -> Result<Instant> {
        let (at, ()) = self
            .when("all members are connected", async |client| {
                let devices = client.device_list().await?;
                let others = devices.iter().filter(|one| !one.this_device && one.state == DeviceState::Online);
                Ok((others.count() == count).then_some(()))
            })
            .await?;
        Ok(at)
    }

    /// Founds a network.
    pub(crate) async fn found(&self, name: &str) -> Result<()> {
        self.client.network_create(name.to_owned(), NetworkKind::Open).await?;
        Ok(())
    }

    /// A link that admits `uses` devices.
    pub(crate) async fn pre_approved(&self, uses: u32) -> Result<String> {
        let options = InviteOptions { approved: true, uses: Some(uses), ..InviteOptions::default() };
        self.link(options).await
    }

    /// A link of this kind.
    pub(crate) async fn link(&self, options: InviteOptions) -> Result<String> {
        self.client.invite_create(options).await?.invite.context("the invite has no link")
    }

    /// Joins by a pre-approved link.
    pub(crate) async fn join(&self, link: &str) -> Result<()> {
        let id = self.client.join_start(link.to_owned()).await?;
        self.joined(id, async |_| Ok(())).await?;
        Ok(())
    }

    /// Follows a join to its end; `knocking` is called when it waits for a person. Returns when this device was a member.
    pub(crate) async fn joined(
        &self,
        id: String,
        mut knocking: impl AsyncFnMut(&str) -> Result<()>,
    ) -> Result<Instant> {
        let mut steps = self.client.join_events(id, 0).await?;
        while let Some(step) = tokio::time::timeout(PATIENCE, steps.next()).await.context("the join hangs")? {
            match step?.event {
                JoinEvent::Joined { .. } => return Ok(Instant::now()),
                JoinEvent::Failed { error } => return Err(anyhow!("the join failed: {error}")),
                JoinEvent::Knocking { code, .. } => knocking(&code).await?,
                _ => {}
            }
        }
        Err(anyhow!("the join ended without a word"))
    }
}

/// Counts the events of a daemon for as long as it lives.
async fn watch_events(daemon: &Daemon) -> Result<(Arc<ControlClient>, watch::Receiver<u64>)> {
    let home = Home::find(Some(daemon.home.path()))?;
    let client = Arc::new(connect(&home).await?);
    let mut items = client.events(0).await?;
    let (count, events) = watch::channel(0);
    tokio::spawn(async move {
        while let Some(Ok(_)) = items.next().await {
            count.send_modify(|count| *count += 1);
        }
    });
    Ok((client, events))
}

/// Members of one network, the founder first, all connected to all.
pub(crate) struct Fleet {
    pub(crate) members: Vec<Member>,
    link: String,
}

impl Fleet {
    /// Founds a network that can grow to `most` devices.
    pub(crate) async fn found(most: u32) -> Result<Self> {
        let founder = Member::start("D0").await?;
        founder.found("bench").await?;
        let link = founder.pre_approved(most).await?;
        Ok(Self { members: vec![founder], link })
    }

    pub(crate) fn founder(&self) -> &Member {
        &self.members[0]
    }

    /// Admits devices until there are `size`, and waits until each is connected to each.
    pub(crate) async fn grow(&mut self, size: usize) -> Result<()> {
        ensure!(size >= self.members.len(), "a fleet does not shrink");
        while self.members.len() < size {
            let member = Member::start(&format!("D{}", self.members.len())).await?;
            member.join(&self.link).await?;
            self.members.push(member);
        }
        self.settled().await
    }

    /// One more member, for as long as the caller keeps it.
    pub(crate) async fn guest(&self, name: &str) -> Result<Member> {
        let guest = Member::start(name).await?;
        guest.join(&self.link).await?;
        try_join_all(self.members.iter().chain([&guest]).map(|one| one.connected_to(self.members.len()))).await?;
        Ok(guest)
    }

    /// Waits until each is connected to each.
    pub(crate) async fn settled(&self) -> Result<()> {
        let others = self.members.len() - 1;
        try_join_all(self.members.iter().map(|member| member.connected_to(others))).await?;
        Ok(())
    }

    /// CPU time of all daemons so far, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> f64 {
        self.members.iter().map(|member| cpu_seconds(member.daemon.pid) * 1e3).sum()
    }

    /// Ends all daemons.
    pub(crate) async fn stop(self) -> Result<()> {
        try_join_all(self.members.iter().map(Member::stop)).await?;
        Ok(())
    }
}
