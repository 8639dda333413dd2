import Testing
import Simulation

@Suite struct SeedTests {}
