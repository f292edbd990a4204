package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"sync/atomic"
)

// counter stands between a worker and its Redis, and counts the commands that the
// worker sends. What a script runs within Redis is not among them.
type counter struct {
	listener net.Listener
	redis    string
	commands atomic.Int64
}

func newCounter(ctx context.Context, redis string) (*counter, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &counter{listener: listener, redis: redis}
	go c.serve(ctx)
	return c, nil
}

func (c *counter) serve(ctx context.Context) {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(ctx, "tcp", c.redis)
		if err != nil {
			_ = client.Close()
			continue
		}
		go func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		}()
		go func() {
			c.count(io.TeeReader(client, server))
			_ = server.Close()
		}()
	}
}

// count reads commands as clients send them: arrays of texts, each with its length in
// front.
func (c *counter) count(r io.Reader) {
	in := bufio.NewReader(r)
	number := func() (int, error) {
		line, err := in.ReadString('\n')
		if err != nil || len(line) < len("*1\r\n") {
			return 0, io.ErrUnexpectedEOF
		}
		return strconv.Atoi(line[1 : len(line)-2])
	}
	for {
		texts, err := number()
		if err != nil {
			return
		}
		for range texts {
			length, err := number()
			if err != nil {
				return
			}
			if _, err := in.Discard(length + len("\r\n")); err != nil {
				return
			}
		}
		c.commands.Add(1)
	}
}
