"""Working time (工作时): what a limit is counted in, which days and hours count, deadlines and why they fall there."""
