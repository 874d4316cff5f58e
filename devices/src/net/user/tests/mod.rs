//! The network as a guest sees it: a second TCP/IP stack on the other end of the cable, and services on the
//! host's loopback. Nothing here reaches beyond the loopback.

mod datagrams;
mod guest;
mod hostile;
mod life;
mod streams;
