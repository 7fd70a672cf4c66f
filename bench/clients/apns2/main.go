// sideshow/apns2: one goroutine for each push in flight, one client for each connection.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/payload"
	"github.com/sideshow/apns2/token"
	_ "golang.org/x/net/http2" // of apns2; named in go.mod to have a current one
)

type job map[string]string

func readJob() job {
	read := job{}
	for _, argument := range os.Args[1:] {
		name, value, _ := strings.Cut(argument, "=")
		read[name] = value
	}
	return read
}

func (j job) number(name string) int {
	value, err := strconv.Atoi(j[name])
	if err != nil {
		fail(err)
	}
	return value
}

func (j job) deviceToken(number int) string {
	dead := j.number("dead")
	if number*dead%100 < dead {
		return fmt.Sprintf("dead%060x", number)
	}
	return fmt.Sprintf("%064x", number)
}

func (j job) clients() []*apns2.Client {
	key, err := token.AuthKeyFromFile(j["key_file"])
	if err != nil {
		fail(err)
	}
	provider := &token.Token{AuthKey: key, KeyID: j["key_id"], TeamID: j["team_id"]}
	clients := make([]*apns2.Client, j.number("connections"))
	for i := range clients {
		clients[i] = apns2.NewTokenClient(provider)
		clients[i].Host = j["url"]
	}
	return clients
}

// send sends pushes from the first to before the second number; it returns how many were accepted.
func send(j job, clients []*apns2.Client, first, end int) int {
	var next, accepted atomic.Int64
	next.Store(int64(first) - 1)
	alert := strings.Repeat("x", j.number("payload")-len(`{"aps":{"alert":""}}`))
	var workers sync.WaitGroup
	for worker := range j.number("in_flight") {
		client := clients[worker%len(clients)]
		workers.Go(func() {
			for number := int(next.Add(1)); number < end; number = int(next.Add(1)) {
				response, err := client.Push(&apns2.Notification{
					DeviceToken: j.deviceToken(number),
					ApnsID:      fmt.Sprintf("123e4567-e89b-42d3-a456-%012x", number),
					Topic:       j["topic"],
					PushType:    apns2.PushTypeAlert,
					Payload:     payload.NewPayload().Alert(alert),
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
				} else if response.Sent() {
					accepted.Add(1)
				}
			}
		})
	}
	workers.Wait()
	return int(accepted.Load())
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	j := readJob()
	clients := j.clients()
	warmUp, pushes := j.number("warm_up"), j.number("pushes")
	send(j, clients, 0, warmUp)
	cpu, started := cpuSeconds(), time.Now()
	accepted := send(j, clients, warmUp, warmUp+pushes)
	measured := map[string]any{
		"pushes":      pushes,
		"ok":          accepted,
		"seconds":     time.Since(started).Seconds(),
		"cpu_seconds": cpuSeconds() - cpu,
	}
	if err := json.NewEncoder(os.Stdout).Encode(measured); err != nil {
		fail(err)
	}
}
