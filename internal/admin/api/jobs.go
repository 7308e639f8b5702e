package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/job"
)

type listJobsInput struct {
	Paging
	State   string `query:"state" enum:"waiting,done,dead,discarded" doc:"Jobs in this state; a running one waits."`
	Kind    string `query:"kind" maxLength:"64" doc:"Jobs of this kind."`
	Target  string `query:"target" maxLength:"320" doc:"Jobs for this target, such as a client's id."`
	Subject string `query:"subject" maxLength:"320" doc:"Jobs about this, such as a session's id."`
}

// listJobs gives the newest first.
func (s *Server) listJobs(ctx context.Context, c *Caller, in *listJobsInput) (*page[wire.Job], error) {
	f := job.Filter{State: job.State(in.State), Kind: in.Kind, Target: in.Target, Subject: in.Subject}
	found, next, err := s.Jobs.List(ctx, c.Realm.Name, f, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, s.jobOf), nil
}

func (s *Server) showJob(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.Job], error) {
	return s.jobShown(s.Jobs.ByID(ctx, c.Realm.Name, in.ID))
}

func (s *Server) retryJob(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.Job], error) {
	return s.jobShown(s.Jobs.Retry(ctx, c.By, c.Realm.Name, in.ID))
}

func (s *Server) discardJob(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.Job], error) {
	return s.jobShown(s.Jobs.Discard(ctx, c.By, c.Realm.Name, in.ID))
}

func (s *Server) jobShown(j *job.Job, err error) (*plainAnswer[wire.Job], error) {
	if err != nil {
		return nil, err
	}
	return plain(s.jobOf(j)), nil
}

// jobOf tells what operators see of a job. When a running one is due says
// nothing to them: it is the end of the node's lease.
func (s *Server) jobOf(j *job.Job) wire.Job {
	w := wire.Job{ID: j.ID, Kind: j.Kind, State: string(j.State), Target: j.Target, Subject: j.Subject, Attempts: j.Attempts, AttemptsLeft: j.Left,
		LastError: j.LastError, CreatedAt: j.Created, EndedAt: optional(j.Ended)}
	if s.Jobs.Running(j) {
		w.State, w.Node = "running", j.Holder
	} else if j.State == job.Waiting {
		w.DueAt = optional(j.Due)
	}
	return w
}
