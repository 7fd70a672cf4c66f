"""One page, two forms on it, and the admin."""

from django.contrib import admin
from django.urls import path
from phones import views

urlpatterns = [
    path("", views.index, name="index"),
    path("register", views.register, name="register"),
    path("push", views.push, name="push"),
    path("admin/", admin.site.urls),
]
