"""V7 Darwin."""
