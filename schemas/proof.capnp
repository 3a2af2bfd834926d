# What a proof search and those who advise it say to each other: states, goals, tactics, and the scores of premises.
#
# Every root says by `schemaVersion` what its sender means by it: this file describes version 1. Whoever adds a field
# leaves the version alone, as the others read past what they do not know. Only a change of what a field means raises
# it, and a receiver refuses a version that it does not know (0 is one: the sender has not said).
#
# Kinds of terms, nodes and tactics are UInt16 and not the enums beside them, which only name the values known
# so far. Other logics bring kinds of their own, and an enumerant that a reader does not know is an error in some
# languages, where an unknown number is merely unknown.
#
# What refers to something is its index in a list of the same message. Terms and graphs are tables and not trees, so
# that what is shared is there once, and no nesting is too deep for a reader's limits.
@0xdc015a791b24845b;

struct ProofState {
  # What is left to prove: all goals, in this order.
  schemaVersion @0 :UInt16;
  terms @1 :List(Term);  # parts before what they are parts of
  goals @2 :List(Goal);
}

struct Goal {
  context @0 :Context;
  target @1 :UInt32;  # the term to prove
  tried @2 :List(UInt32);  # terms that are being proved in this same context: to come back to one is to go in circles
}

struct Context {
  hypotheses @0 :List(Hypothesis);  # the oldest first
}

struct Hypothesis {
  name @0 :Text;  # for people; hypotheses are told apart by their places
  term @1 :UInt32;
}

struct Term {
  kind @0 :UInt16;  # TermKind
  name @1 :Text;  # an atom's
  parts @2 :List(UInt32);
}

enum TermKind {
  atom @0;
  falsehood @1;
  conjunction @2;
  disjunction @3;
  implication @4;
}

struct Tactic {
  # One step on a state's first goal.
  schemaVersion @0 :UInt16;
  kind @1 :UInt16;  # TacticKind
  premise @2 :UInt32;  # the place of the hypothesis that it is about, for the kinds that are about one
}

enum TacticKind {
  exact @0;  # the hypothesis is the target
  absurd @1;  # the hypothesis is falsehood, from which everything follows
  assume @2;  # the target is an implication: its antecedent becomes a hypothesis
  split @3;  # the target is a conjunction: two goals
  left @4;  # the target is a disjunction: prove its left part
  right @5;
  destruct @6;  # the hypothesis is a conjunction: both parts become hypotheses
  cases @7;  # the hypothesis is a disjunction: a goal for each part
  apply @8;  # the hypothesis is an implication: prove its antecedent, then go on with its consequent
}

struct Graph {
  # Terms as numbers: a node for each, edges to its parts. Nothing but flat arrays, to be read where they lie.
  nodeKinds @0 :List(UInt16);  # TermKind; parts before what they are parts of
  featureWidth @1 :UInt32;
  features @2 :List(Float32);  # row-major: `featureWidth` numbers for each node
  edgeStarts @3 :List(UInt32);  # one more than nodes: node i has the edges from edgeStarts[i] up to edgeStarts[i + 1]
  edgeTargets @4 :List(UInt32);  # nodes, an implication's antecedent first
  goal @5 :UInt32;  # a node
  premises @6 :List(UInt32);  # nodes, in the order of the context's hypotheses
}

struct EmbeddingRequest {
  schemaVersion @0 :UInt16;
  graph @1 :Graph;
  rounds @2 :UInt16;  # how far from a node what it is like depends on its neighbours
}

struct EmbeddingResponse {
  schemaVersion @0 :UInt16;
  width @1 :UInt32;
  embeddings @2 :List(Float32);  # row-major: `width` numbers for each node, of length 1 together
}

struct RankingRequest {
  schemaVersion @0 :UInt16;
  graph @1 :Graph;
  width @2 :UInt32;
  embeddings @3 :List(Float32);  # as in the EmbeddingResponse for this graph
}

struct RankingResponse {
  schemaVersion @0 :UInt16;
  scores @1 :List(Float32);  # for each of the graph's premises, from 0 (of no use) to 1
}

struct Suggestion {
  schemaVersion @0 :UInt16;
  tactic @1 :Tactic;
  score @2 :Float32;  # from 0 to 1
}

struct RefutationRequest {
  schemaVersion @0 :UInt16;
  graph @1 :Graph;
}

struct CounterModel {
  # A Kripke model in whose first world all premises hold and the goal does not.
  schemaVersion @0 :UInt16;
  worlds @1 :UInt32;
  sees @2 :List(UInt8);  # row-major, worlds by worlds: 1 where the row's world sees the column's
  holds @3 :List(UInt8);  # row-major, worlds by nodes of the graph: 1 where the node's term holds in that world
}

interface Prover {
  # The service. On the bus its methods are `prover/embed` and so on, and their structs the bodies.

  embed @0 EmbeddingRequest -> EmbeddingResponse;
  rank @1 RankingRequest -> RankingResponse;

  suggest @2 (state :ProofState, sink :SuggestionSink) -> stream;
  # The tactics that apply to the first goal, the best first. On the bus each suggestion is a partial reply.

  refute @3 RefutationRequest -> CounterModel;
  # Searches for a counter-model until there is one, which for a theorem is never: give it a deadline, or cancel it.
}

interface SuggestionSink {
  put @0 Suggestion -> stream;
}
