//! Holds the example programs of mpm together as one package; the programs themselves stand beside this file.
