"""A pretend Apple and Google on loopback, to run and test senders against."""

from pushtasks.emulator.files import EmulatorError, Endpoints
from pushtasks.emulator.server import Emulator

__all__ = ["Emulator", "EmulatorError", "Endpoints"]
