"""The pictures of the documents are drawn as the page draws now. Here, where there is a browser to draw them again."""

from tests.support.pictures import AGAIN, drawn, sources


def test_the_pictures_were_drawn_by_the_page_as_it_is_now():
    assert drawn()["page"] == sources()["page"], AGAIN
