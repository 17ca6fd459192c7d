"""A neighbour that answers at once, whatever it is asked: for `lulab bench effects --url`."""

import frame


class Prompt(frame.Vendor):
    name = "prompt"

    def handle(self, request):
        return frame.Answer(body={})
