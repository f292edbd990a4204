package settle

import (
	"encoding/json"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// Result is what asynqmon shows of a finished task. Nothing in it is personal.
type Result struct {
	Outcome   string          `json:"outcome"`
	Reason    string          `json:"reason,omitempty"`
	Delivery  outcome.State   `json:"delivery"`
	Removal   outcome.Removal `json:"removal,omitempty"`
	Polls     int             `json:"polls"`
	Attempts  int             `json:"attempts"`
	Removals  int             `json:"removals"`
	LastError string          `json:"last_error,omitempty"`
	// LastTrouble is of the last poll that MarkSign gave no usable answer to.
	LastTrouble string    `json:"last_trouble,omitempty"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	FinalAt     time.Time `json:"final_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
	RemovedAt   time.Time `json:"removed_at,omitzero"`
	RecordLost  bool      `json:"record_lost,omitempty"`
}

// encodeResult writes what asynqmon shows of a task that ends with a record.
func encodeResult(r outcome.Record) ([]byte, error) {
	return json.Marshal(Result{
		Outcome: r.Type, Reason: r.Reason, Delivery: r.State, Removal: r.Removal,
		Polls: r.Polls, Attempts: r.Attempts, Removals: r.Removals, LastError: r.LastError, LastTrouble: r.Trouble,
		StartedAt: r.Started, FinalAt: r.Final, EndedAt: r.Ended, RemovedAt: r.RemovedAt,
		RecordLost: r.State == outcome.None,
	})
}

// writeResult is called by the run that ends the task, and by no other: a
// ResultWriter is dead once its handler returned.
func writeResult(t *asynq.Task, r outcome.Record) error {
	data, err := encodeResult(r)
	if err != nil {
		return err
	}
	return write(t, data)
}

func write(t *asynq.Task, data []byte) error {
	if _, err := t.ResultWriter().Write(data); err != nil {
		return taskserver.NoRedis()
	}
	return nil
}
