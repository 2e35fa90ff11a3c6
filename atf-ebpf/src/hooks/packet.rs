//! Packets of sockets that were born in a run: those of stamped ones pass, by the loopback interface. No byte of a packet is read for
//! the decision, so no header can deceive it.

use atf_common::operation::Operation;
use atf_common::vector::Vector;
use aya_ebpf::helpers::generated::bpf_sk_fullsock;
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;

use super::branded_or_stamped_for;
use crate::report::{Actor, Attempt, answer};
use crate::run;

#[cgroup_skb(egress)]
pub fn egress(ctx: SkBuffContext) -> i32 {
    judge(&ctx, Vector::Egress)
}

#[cgroup_skb(ingress)]
pub fn ingress(ctx: SkBuffContext) -> i32 {
    judge(&ctx, Vector::Ingress)
}

#[inline(always)]
fn judge(ctx: &SkBuffContext, vector: Vector) -> i32 {
    let skb = ctx.skb.skb;
    let run = run::of_packet(skb);
    // SAFETY: the program's context; the kernel lets it read all three. The socket is the whole one that the
    // packet is judged for, a listener where there is no connection yet.
    let (ethertype, interface, sk) =
        unsafe { ((*skb).protocol, (*skb).ifindex, (*skb).__bindgen_anon_2.sk) };
    let stamped_for = match sk.is_null() {
        true => None,
        // SAFETY: not null, and typed by the kernel as a socket; what comes back is the same one, or null.
        false => branded_or_stamped_for(run, unsafe { bpf_sk_fullsock(sk) }),
    };
    let attempt = Attempt {
        run,
        vector,
        actor: Actor::Packet,
        family: 0,
        detail: u32::from((ethertype as u16).swap_bytes()),
    };
    answer(attempt, run::judge(run, Operation::Packet { stamped_for, interface }))
}
