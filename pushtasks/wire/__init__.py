"""Facts published by Apple and Google: constants only, each with its source."""
