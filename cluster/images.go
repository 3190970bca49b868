package cluster

import (
	"sync/atomic"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Images holds the image that is in force on this node, and the broker's settings as that image makes them. Anybody may load them;
// only the controller stores them.
type Images struct {
	current atomic.Pointer[inForce]
	observe func(image.Delta)
}

type inForce struct {
	image  *image.Image
	broker *config.Broker
}

// NewImages holds an empty image and a broker on defaults, until the node is ready.
func NewImages() *Images {
	broker, err := config.NewBroker(config.Values{})
	invariant.Check(err == nil, "the defaults of a broker's settings are not valid: %v", err)
	i := &Images{}
	i.current.Store(&inForce{image.Empty(), broker})
	return i
}

// Load returns the image in force, never nil.
func (i *Images) Load() *image.Image { return i.current.Load().image }

// Broker returns the settings of this broker, dynamic ones included, never nil.
func (i *Images) Broker() *config.Broker { return i.current.Load().broker }

// OnChange has f hear of every image from the first on, with what changed; of the first everything did, and the delta is empty. It is
// called on the controller's turn, after the image is in force and before any command that made it so is answered; it may only send.
// To be called once, before the controller is spawned.
func (i *Images) OnChange(f func(image.Delta)) { i.observe = f }

func (i *Images) store(m *image.Image, b *config.Broker, changed image.Delta) {
	i.current.Store(&inForce{m, b})
	if i.observe != nil {
		i.observe(changed)
	}
}
