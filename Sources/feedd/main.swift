import ArgumentParser
import Logging
import Configuration
import FastFeed
print(hello())
