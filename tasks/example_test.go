package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/tasks"
)

// The application has started a session at MarkSign and has it followed.
func ExampleClient_Enqueue() {
	rdb, server := redistest.Embedded() // in earnest: ClientConfig{RedisURL: os.Getenv("REDIS_URL")}
	defer server.Close()
	defer rdb.Close()
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	session := tasks.Session{
		Token:       "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f", // from MarkSign's answer
		Method:      tasks.SmartID,
		CallbackURL: "https://shop.example/webhooks/identwatch",
		Reference:   "order-1842",
		Checks:      []tasks.Check{tasks.PEPs, tasks.Sanctions}, // as they were asked for at the start
	}
	for range 2 {
		err = client.Enqueue(context.Background(), session)
		switch {
		case err == nil:
			fmt.Println("followed")
		case errors.Is(err, tasks.ErrDuplicate):
			fmt.Println("followed already") // also where an earlier call's answer was lost
		default:
			fmt.Println("call again:", err) // it may or may not be in
		}
	}
	// Output:
	// followed
	// followed already
}

// Many sessions go to Redis in a few round trips, and each has its own answer.
func ExampleClient_EnqueueMany() {
	rdb, server := redistest.Embedded()
	defer server.Close()
	defer rdb.Close()
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	sessions := []tasks.Session{
		{Token: "1c5cd62c", Method: tasks.SmartID},
		{Token: "9f8e7d6c", Method: "password"},
		{Token: "1c5cd62c", Method: tasks.SmartID},
	}
	for i, err := range client.EnqueueMany(context.Background(), sessions) {
		invalid := new(tasks.ValidationError)
		switch {
		case err == nil:
			fmt.Println(sessions[i].Token, "is followed")
		case errors.Is(err, tasks.ErrDuplicate):
			fmt.Println(sessions[i].Token, "was followed already")
		case errors.As(err, &invalid):
			fmt.Println(sessions[i].Token, "is refused:", err)
		default:
			fmt.Println(sessions[i].Token, "is to be enqueued again:", err)
		}
	}
	// Output:
	// 1c5cd62c is followed
	// 9f8e7d6c is refused: invalid session: method must be smart_id or mobile_id
	// 1c5cd62c was followed already
}

// An application that has waited too long for an event asks how the session stands.
func ExampleClient_Status() {
	rdb, server := redistest.Embedded()
	defer server.Close()
	defer rdb.Close()
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb, Account: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if err := client.Enqueue(context.Background(), tasks.Session{Token: "1c5cd62c", Method: tasks.SmartID}); err != nil {
		fmt.Println(err)
		return
	}

	status, err := client.Status(context.Background(), "", "1c5cd62c") // of the client's own account
	fmt.Println(status.Account, status.State, err)
	_, err = client.Status(context.Background(), "", "9f8e7d6c")
	fmt.Println("unknown:", errors.Is(err, tasks.ErrNoSession))
	// Output:
	// shop waiting <nil>
	// unknown: true
}

// The person went away, and the application wants no event any more.
func ExampleClient_Cancel() {
	rdb, server := redistest.Embedded()
	defer server.Close()
	defer rdb.Close()
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if err := client.Enqueue(context.Background(), tasks.Session{Token: "1c5cd62c", Method: tasks.SmartID}); err != nil {
		fmt.Println(err)
		return
	}

	status, err := client.Cancel(context.Background(), "", "1c5cd62c")
	switch {
	case errors.Is(err, tasks.ErrOutcomeFirst):
		fmt.Println("too late: it is", status.State)
	case err != nil:
		fmt.Println("call again:", err)
	default:
		fmt.Println(status.State)
	}
	// Output:
	// cancelled
}

// Who holds an asynq.Client needs no other.
func ExampleNewFollowTask() {
	rdb, server := redistest.Embedded()
	defer server.Close()
	defer rdb.Close()
	client := asynq.NewClientFromRedisClient(rdb)

	task, err := tasks.NewFollowTask(tasks.Session{Token: "1c5cd62c", Method: tasks.MobileID}, 48*time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := client.EnqueueContext(context.Background(), task) // without further options
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.Queue, info.ID, info.Retention)
	_, err = client.EnqueueContext(context.Background(), task)
	fmt.Println("a duplicate:", errors.Is(err, asynq.ErrTaskIDConflict))
	// Output:
	// identwatch-follow default:1c5cd62c 48h0m0s
	// a duplicate: true
}

// The workers have SHARDS=8, so that the task needs the queue of its session's shard.
func ExampleFollowQueue() {
	rdb, server := redistest.Embedded()
	defer server.Close()
	defer rdb.Close()
	client := asynq.NewClientFromRedisClient(rdb)

	session := tasks.Session{Token: "1c5cd62c", Method: tasks.MobileID}
	task, err := tasks.NewFollowTask(session, tasks.DefaultRetention)
	if err != nil {
		fmt.Println(err)
		return
	}
	queue, err := tasks.FollowQueue(8, session)
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := client.EnqueueContext(context.Background(), task, asynq.Queue(queue))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.Queue, info.ID)
	// Output:
	// identwatch-5}:follow default:1c5cd62c
}

// All faults are reported together, by field, and without the refused values.
func ExampleSession_Validate() {
	err := tasks.Session{
		Token:       "..",
		Method:      tasks.SmartID,
		CallbackURL: "https://user:pass@shop.example/",
		Checks:      []tasks.Check{tasks.PEPs, tasks.PEPs},
	}.Validate()
	if invalid, ok := errors.AsType[*tasks.ValidationError](err); ok {
		for _, f := range invalid.Fields {
			fmt.Println(f.Field, f.Problem)
		}
	}
	// Output:
	// token must not be a relative path segment
	// callback_url must not hold a user name or password
	// checks must not name a check twice
}
