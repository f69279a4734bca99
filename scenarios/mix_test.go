package scenarios

import (
	"maps"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

// The mix is that of the shoppers who come.
func TestMix(t *testing.T) {
	c, err := Load("spring-festival")
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	wantPersonas, wantJourneys := map[string]uint64{}, map[string]uint64{}
	for s := range Slot(Slots) {
		for a := range p.Arrivals(s, 0) {
			drawn := p.Shopper(a.ID)
			wantPersonas[drawn.Persona.Name]++
			wantJourneys[drawn.Journey]++
		}
	}
	if personas, journeys := p.Mix(); !maps.Equal(personas, wantPersonas) || !maps.Equal(journeys, wantJourneys) {
		t.Errorf("mix %v %v, want %v %v", personas, journeys, wantPersonas, wantJourneys)
	}
}

func BenchmarkMix(b *testing.B) {
	c, err := Load("spring-festival")
	if err != nil {
		b.Fatal(err)
	}
	p, err := c.Plan(results.Factors{Scale: 1. / 10, Compress: 1})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p.Mix()
	}
}
