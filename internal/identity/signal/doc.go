// Package signal is the door through which the news of death leaves: the signed
// Token Status Lists that anybody may fetch, and the live stream that resource
// servers follow to refuse a revoked token within milliseconds.
//
// It holds no bits itself. It turns the event log into deltas, hashes them into
// a chain, and signs the chain's head; what is dead it learns from an Index.
package signal
