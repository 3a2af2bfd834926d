# Frame 7 of a message: one segment without a table. The codec reads it at fixed offsets and never loads this file;
# the tests hold the two against each other. The ordinals are chosen so that Cap'n Proto's own layout leaves no gap.
@0xf00d9bd088e10b9e;

struct Options {
  # Data only. A reader takes what the root pointer says is there, so fields may be appended.
  deadlineMs @0 :UInt32;  # time left when sent; 0: none
  flags @1 :UInt16;
  status @2 :UInt16;  # 0: ok, else the number of the error in the body
  schemaId @3 :UInt64;  # type id of the body's root struct; 0: not said
  sequence @4 :UInt32;  # index of a partial reply; of a CREDIT: how many were taken
  credit @5 :UInt32;  # how many more partial replies the sender of this will take; of a gather's: whose it is
  fingerprint @6 :UInt64;  # of a request: which version of its types the sender knows; 0: not said
}
