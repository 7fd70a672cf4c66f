"""The two forms of the page."""

from django import forms

from phones.models import Phone


class RegisterForm(forms.ModelForm):
    """What a phone tells when its app starts."""

    class Meta:
        """To register a token once more is no mistake, so it is not checked whether it is there."""

        model = Phone
        fields = ("owner", "provider", "token")


class PushForm(forms.Form):
    """What to send, to the active phones of an owner."""

    to = forms.CharField(max_length=100, label="Owner")
    text = forms.CharField(max_length=200)
