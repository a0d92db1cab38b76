package main

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"testing"
)

func TestGroups_MostFrequentFirst(t *testing.T) {
	var g groups
	for _, v := range []string{"b", "a", "c", "c", "b", "d"} {
		if err := g.add([]byte(v), 0); err != nil {
			t.Fatal(err)
		}
	}
	sort.Sort(&g)
	if have := fmt.Sprint(g.list); have != "[{b 0 2} {c 0 2} {a 0 1} {d 0 1}]" {
		t.Errorf("have %s", have)
	}
}

// TestGroups_LargestFirst: where they have sizes, these count.
func TestGroups_LargestFirst(t *testing.T) {
	var g groups
	for i, v := range []string{"b", "a", "c", "c", "b"} {
		if err := g.add([]byte(v), int64(10*i%30)); err != nil {
			t.Fatal(err)
		}
	}
	sort.Sort(&g)
	if have := fmt.Sprint(g.list); have != "[{c 20 2} {b 10 2} {a 10 1}]" {
		t.Errorf("have %s", have)
	}
}

// TestGroups_AreBounded: neither many values nor long ones take all memory.
func TestGroups_AreBounded(t *testing.T) {
	for _, size := range []int{8, 1 << 20} {
		var g groups
		value := []byte(strings.Repeat("x", size))
		for i := range 1_200_000 {
			copy(value, fmt.Sprintf("%08d", i))
			if err := g.add(value, 0); err != nil {
				if !errors.Is(err, errData) || !errors.Is(err, errGroups) {
					t.Error(err)
				}
				value = nil
				break
			}
		}
		if value != nil {
			t.Errorf("1,200,000 values of %d bytes were taken", size)
		}
	}
}
