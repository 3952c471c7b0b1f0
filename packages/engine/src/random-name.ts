/** Adjectives: short, kind, and spelled the same everywhere. */
const ADJECTIVES = (
  'able agile amber ample apt avid bold brave breezy bright brisk calm candid cheery civil clever ' +
  'cosy crisp dapper daring deft eager early earnest easy even fair fancy fine firm fleet fond ' +
  'frank fresh gentle glad golden grand handy happy hardy hazel hearty honest humble ideal jolly ' +
  'keen kind lively loyal lucid lucky mellow merry mild modest neat nimble noble patient placid ' +
  'plucky polite prime prompt proud quick quiet rapid ready robust rosy sage serene sharp silver ' +
  'smart snug solid spry stable steady sturdy sunny swift tidy tranquil trusty upbeat vivid warm ' +
  'wise witty young zesty'
).split(' ')

/** Things found in a harbour, a workshop or a garden. */
const NOUNS = (
  'acorn anchor anvil apron arbor atlas awl barge basil basket beacon bellows birch bramble bridge ' +
  'brook buoy cairn canoe cedar chisel clover compass coral cove crane daisy dinghy dory easel elm ' +
  'ferry fiddle finch flint forge galley garnet gimlet harbor hazelnut heron hinge ivy juniper ' +
  'kayak keel kettle lantern larch lathe lever lilac linden loom mallet maple marina marsh meadow ' +
  'mortar oar orchard osier otter paddle pebble petrel pier plane plover pulley quay quill raft ' +
  'reed rivet robin rudder saddle sail sextant shuttle skiff sorrel spade sparrow spruce tern ' +
  'thimble thistle trellis trowel violet wharf wherry willow winch wren yarrow'
).split(' ')

/** Two words that make a name, such as `calm_heron`. */
export function randomName(): string {
  return `${pick(ADJECTIVES)}_${pick(NOUNS)}`
}

function pick(words: readonly string[]): string {
  return words[Math.floor(Math.random() * words.length)] ?? 'nameless'
}
